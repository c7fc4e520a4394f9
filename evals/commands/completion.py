"""Shell completion scripts: commands, their flags, and the names of models and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def script(shell: str, flags: Mapping[str, Sequence[str]], models: Sequence[str], benchmarks: Sequence[str]) -> str:
    """Return the completion script of `shell` (bash, zsh or fish)."""
    if shell == "fish":
        return _fish(flags, models, benchmarks)
    bash = _bash(flags, models, benchmarks)
    return "autoload -U +X bashcompinit && bashcompinit\n" + bash if shell == "zsh" else bash


def _bash(flags: Mapping[str, Sequence[str]], models: Sequence[str], benchmarks: Sequence[str]) -> str:
    cases = "\n".join(f'    {name}) words="{" ".join(options)}" ;;' for name, options in flags.items())
    return f"""\
_janus_eval() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
  case "$before" in
    -m|--model) COMPREPLY=($(compgen -W "{" ".join(models)}" -- "$current")); return ;;
    -b|--bench) COMPREPLY=($(compgen -W "{" ".join(benchmarks)}" -- "$current")); return ;;
  esac
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="{" ".join(flags)}"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ "${{#COMPREPLY[@]}}" -eq 0 ] && COMPREPLY=($(compgen -f -- "$current"))
}}
complete -o filenames -F _janus_eval janus-eval"""


def _fish(flags: Mapping[str, Sequence[str]], models: Sequence[str], benchmarks: Sequence[str]) -> str:
    lines = [f"complete -c janus-eval -n __fish_use_subcommand -a '{' '.join(flags)}'"]
    for name, options in flags.items():
        for option in (each[2:] for each in options if each.startswith("--")):
            lines.append(f"complete -c janus-eval -n '__fish_seen_subcommand_from {name}' -l {option}")
    lines.append(f"complete -c janus-eval -s m -l model -xa '{' '.join(models)}'")
    lines.append(f"complete -c janus-eval -s b -l bench -xa '{' '.join(benchmarks)}'")
    return "\n".join(lines)
