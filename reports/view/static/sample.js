// One sample's page: question, options, gold, output, readings, pictures with what was seen on them, a judge's words.
"use strict";
(() => {
  const {make} = janus;
  const HUES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442"];
  const part = (title, ...children) => make("section", null, make("h3", null, title), ...children);
  const hidden = new Set(["weak"]);  // what the user has switched off, for every picture that follows
  const plain = value => typeof value === "string" ? value : JSON.stringify(value, null, 1);

  // COCO's run lengths (columns first) as one path of bars.
  function mask(found) {
    const size = found && found.size;
    if (!Array.isArray(size) || !(size[0] > 0 && size[1] > 0)) return "";
    const height = size[0], runs = [], text = found.counts;
    for (let at = 0; at < text.length && runs.length < 20000;) {
      let value = 0, shift = 0, more = true, code = 0;
      while (more && at < text.length) {
        code = text.charCodeAt(at++) - 48;
        value |= (code & 31) << shift;
        more = (code & 32) !== 0;
        shift += 5;
      }
      if (code & 16) value |= -1 << shift;
      if (runs.length > 2) value += runs[runs.length - 2];
      runs.push(value);
    }
    let path = "", place = 0;
    runs.forEach((run, number) => {
      if (number % 2) for (let left = run, at = place; left > 0;) {
        const x = Math.floor(at / height), y = at % height, take = Math.min(left, height - y);
        if (x >= size[1]) break;
        path += `M${x} ${y}h1v${take}h-1z`;
        left -= take; at += take;
      }
      place += run;
    });
    return path;
  }

  function drawn(detail) {
    if (!detail.image) return make("p", {class: "said"}, "The picture cannot be shown: it is missing or broken.");
    const picture = make("img", {src: "pictures/" + detail.image, alt: detail.prompt || "the picture drawn", class: "drawn"});
    const seen = detail.seen, size = seen && seen.size;
    if (!seen || !Array.isArray(size)) return make("div", {class: "stage"}, picture);
    const [wide, high] = size, thin = Math.max(wide, high) / 220;
    const layer = make("svg", {viewBox: `0 0 ${wide} ${high}`, class: "layer", role: "img", "aria-label": `${seen.boxes.length} boxes`});
    seen.boxes.slice().reverse().forEach(([name, x1, y1, x2, y2, score, colour, area]) => {
      const weak = score <= seen.threshold, hue = weak ? "#8a8f98" : HUES[Math.max(0, seen.classes.indexOf(name)) % HUES.length];
      const group = make("g", {class: weak ? "weak" : "strong"}, make("title", null, `${name} ${score.toFixed(2)} ${colour}`));
      if (area && !weak) group.append(make("path", {d: mask(area), fill: hue, "fill-opacity": .28, class: "mask"}));
      group.append(make("rect", {x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1), fill: "none", stroke: hue, "stroke-width": weak ? thin / 2 : thin}));
      const high = thin * 9, low = y1 > high * 1.3;
      if (!weak) group.append(make("text", {class: "label", x: Math.max(0, x1) + thin, y: low ? y1 - thin * 2 : y1 + high, "font-size": high, "stroke-width": thin * 2.5}, [name, score.toFixed(2), colour].filter(Boolean).join(" ")));
      layer.append(group);
    });
    const failed = (detail.clauses || []).filter(([, why]) => why);
    const stage = make("div", {class: "stage"}, picture, layer, failed.length ? make("ul", {class: "failed"}, ...failed.map(([text, why]) => make("li", null, `${text}: ${why}`))) : "");
    for (const name of hidden) stage.classList.add("no-" + name);
    const toggle = (text, name) => {
      const button = make("button", {type: "button", "aria-pressed": String(!hidden.has(name)), "data-toggle": name}, text);
      button.addEventListener("click", () => {
        const off = stage.classList.toggle("no-" + name);
        off ? hidden.add(name) : hidden.delete(name);
        button.setAttribute("aria-pressed", String(!off));
      });
      return button;
    };
    const any = weak => seen.boxes.some(each => (each[5] <= seen.threshold) === weak);
    const buttons = [any(false) && toggle("Boxes", "boxes"), any(false) && toggle("Labels", "labels"), seen.boxes.some(each => each[7]) && toggle("Masks", "masks"), any(true) && toggle("Weak boxes", "weak"), failed.length && toggle("Failed clauses", "failed")].filter(Boolean);
    const rows = seen.boxes.map(([name, , , , , score, colour]) => {
      const weak = score <= seen.threshold;
      const key = make("svg", {viewBox: "0 0 10 10", class: "key", "aria-hidden": "true"}, make("rect", {width: 10, height: 10, rx: 2, fill: weak ? "#8a8f98" : HUES[Math.max(0, seen.classes.indexOf(name)) % HUES.length]}));
      return make("li", {class: weak ? "soft" : null}, key, ` ${name} ${score.toFixed(2)} ${colour}`, weak ? " below the threshold " + seen.threshold : "");
    });
    if (seen.left_out) rows.push(make("li", {class: "soft"}, `and ${seen.left_out} weaker boxes`));
    return make("div", null, stage, make("div", {class: "buttons"}, ...buttons), make("ul", {class: "plain"}, ...rows));
  }

  function tree(questions) {
    const depth = new Map(), at = new Map(questions.map(each => [each.id, each]));
    const deep = (id, path = 0) => path > 20 || !at.has(id) ? 0 : depth.get(id) ?? (depth.set(id, at.get(id).parents.length ? 1 + Math.max(...at.get(id).parents.map(each => deep(each, path + 1))) : 0), depth.get(id));
    return make("ul", {class: "plain tree"}, ...questions.map(each => make("li", {class: "deep-" + Math.min(6, deep(each.id))},
      make("span", {class: "chip " + (each.zeroed ? "odd" : each.answer === "yes" ? "good" : "bad")}, each.zeroed ? "yes, counts 0" : each.answer || "no answer"),
      ` ${each.id}. ${each.question} `, make("span", {class: "soft"}, [each.category, each.parents.length ? "after " + each.parents.join(", ") : ""].filter(Boolean).join(" · ")))));
  }

  function transcript(detail) {
    return detail.transcript.map((run, number) => make("div", {class: "talk"},
      make("p", null, `Run ${number + 1} `, janus.chip(run && run.value), " ", make("span", {class: "soft"}, (run && (run.error || run.reason)) || "")),
      ...((run && Array.isArray(run.calls) ? run.calls : []).map(call => make("pre", null, plain(call.reply ?? call))))));
  }

  janus.sample = (run, row, detail) => {
    const found = [make("header", {class: "head"}, make("h2", null, `${row[0]} / ${row[1]}`), make("a", {href: `run-${run.key}.html`, class: "soft"}, `${run.label} on ${run.benchmark}`))];
    if (detail.image !== undefined) found.push(drawn(detail));
    if (detail.inputs) found.push(make("div", {class: "inputs"}, ...detail.inputs.map((each, number) => each ? make("img", {src: "pictures/" + each, alt: `input picture ${number + 1}`}) : make("p", {class: "said"}, "An input picture cannot be read here."))));
    if (detail.system) found.push(part("System prompt", make("p", {class: "text"}, detail.system)));
    found.push(part(detail.image !== undefined ? "Prompt" : "Question", make("p", {class: "text"}, detail.prompt || "not known here: the suite's data are gone")));
    if (detail.clauses) found.push(part("Asked for", make("ul", {class: "plain"}, ...detail.clauses.map(([text, why]) => make("li", null, why === null ? "" : make("span", {class: "chip " + (why ? "bad" : "good")}, why ? "fails" : "holds"), " " + text, why ? make("span", {class: "soft"}, " " + why) : "")))));
    if (detail.options && detail.options.length) found.push(part("Options", make("ul", {class: "plain"}, ...detail.options.map(([key, text]) => make("li", {class: key === detail.gold ? "gold" : null}, make("b", null, key), " " + text, key === detail.gold ? make("span", {class: "chip good"}, "gold") : "")))));
    if (detail.gold !== undefined) found.push(part("Gold", make("p", {class: "text"}, detail.gold)));
    if (detail.missing) found.push(make("p", {class: "said"}, detail.missing));
    if (detail.text !== undefined) found.push(part("Answer", make("p", {class: "text answer"}, detail.text), detail.finish ? make("p", {class: "soft"}, "ended by: " + detail.finish) : ""));
    if (detail.likelihoods) found.push(part("Likelihoods", make("p", {class: "mono"}, detail.likelihoods.join("  "))));
    if (detail.scores.length) found.push(part("Readings", make("ul", {class: "plain readings"}, ...detail.scores.map(each => make("li", null, janus.chip(each.value), " ", make("b", null, each.protocol),
      each.answer !== null && typeof each.answer !== "object" ? " read " + plain(each.answer) : "", each.unparsed ? make("span", {class: "chip odd"}, "could not be read") : "", each.reason ? make("p", {class: "text soft"}, each.reason) : "")))));
    if (detail.error) found.push(make("p", {class: "said"}, detail.error));
    if (detail.tree) found.push(part("Questions about the picture", tree(detail.tree)));
    if (detail.transcript) found.push(part("Judge " + (detail.judge || ""), ...transcript(detail)));
    if (detail.evidence) found.push(part("Evidence", make("pre", null, plain(detail.evidence))));
    if (detail.seconds !== undefined) found.push(make("p", {class: "soft"}, `${detail.seconds} s`));
    if (detail.file) found.push(make("p", {class: "soft mono"}, detail.file));
    return found;
  };
})();
