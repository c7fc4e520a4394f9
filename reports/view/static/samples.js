// The list of samples: filters, order, a list that holds only the rows in sight, keys, addresses.
"use strict";
(() => {
  const {make} = janus, HEIGHT = 64, $ = id => document.getElementById(id);
  const names = ["run", "suite", "tag", "verdict", "protocol", "sort", "text"];
  const runs = janus.held.get("site").runs, list = $("list"), space = $("space");
  const state = Object.fromEntries(names.map(name => [name, janus.hash().get(name) || ""]));
  let all = [], shown = [], at = -1, open = janus.hash().get("id") || "";

  const chosen = () => runs.filter(each => (state.run === "" || state.run === each.key) && (state.suite === "" || state.suite === each.benchmark));
  const unique = values => [...new Set(values)].filter(each => each !== "");
  const any = values => [["", "any"], ...values.map(each => [each, each])];

  async function read() {
    const loaded = await Promise.all(chosen().map(async run => [run, await janus.load(run.key)]));
    all = loaded.flatMap(([run, data]) => data.rows.map((row, number) => ({run, row, number, find: [row[0], row[2], row[3], ...row[6]].join("\n").toLowerCase()})));
    $("said").replaceChildren(...loaded.flatMap(([, data]) => data.said).map(each => make("p", {class: "said"}, each)));
    janus.options($("f-protocol"), any(unique(chosen().flatMap(each => each.protocols))), state.protocol);
    janus.options($("f-tag"), any(unique(all.flatMap(each => each.row[4])).sort()), state.tag);
    filter();
  }

  function value(each) {
    const place = state.protocol ? each.run.protocols.indexOf(state.protocol) : 0;
    return place < 0 ? null : each.row[5][place] ?? null;
  }

  function fits(each, words) {
    if (state.protocol && !each.run.protocols.includes(state.protocol)) return false;
    if (state.tag && !each.row[4].includes(state.tag)) return false;
    if (state.verdict === "apart" && new Set(each.row[5]).size < 2) return false;
    if (state.verdict && state.verdict !== "apart" && janus.verdict(value(each)) !== state.verdict) return false;
    return words === "" || each.find.includes(words);
  }

  function filter() {
    const started = performance.now(), words = state.text.toLowerCase();
    shown = all.filter(each => fits(each, words));
    const number = each => value(each) ?? -1;
    if (state.sort === "low") shown.sort((a, b) => number(a) - number(b));
    if (state.sort === "high") shown.sort((a, b) => number(b) - number(a));
    if (state.sort === "long") shown.sort((a, b) => b.row[3].length - a.row[3].length);
    at = shown.findIndex(each => address(each) === open);
    if (at < 0 && shown.length) at = 0;
    if (at < 0) $("sample").replaceChildren(make("p", {class: "soft"}, "No output fits these filters."));
    space.style.height = shown.length * HEIGHT + "px";
    $("count").textContent = `${shown.length.toLocaleString("en")} of ${all.length.toLocaleString("en")} outputs`;
    if (at >= 0) show(false); else draw();
    list.dataset.ms = (performance.now() - started).toFixed(1);
    remember();
  }

  const address = each => `${each.run.key}:${each.row[0]}/${each.row[1]}`;
  const remember = () => janus.setHash({...state, id: open});

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 4), last = Math.min(shown.length, first + Math.ceil(list.clientHeight / HEIGHT) + 9);
    space.replaceChildren(...shown.slice(first, last).map((each, offset) => line(each, first + offset)));
  }

  function line(each, number) {
    const [id, index, question, output, tags, , readings, picture] = each.row;
    const read = readings[state.protocol ? each.run.protocols.indexOf(state.protocol) : 0];
    const made = make("div", {class: "row", role: "option", id: "row-" + number, "aria-selected": String(number === at), "aria-setsize": shown.length, "aria-posinset": number + 1},
      picture ? make("img", {src: "pictures/" + picture, alt: "", loading: "lazy"}) : make("span", {class: "blank"}),
      make("span", {class: "words"}, make("span", {class: "one"}, make("b", null, `${id}/${index}`), " ", question), make("span", {class: "one soft"}, output || read || tags.filter(Boolean).join(" · ") || each.run.benchmark)),
      janus.chip(value(each)));
    made.style.top = number * HEIGHT + "px";
    made.addEventListener("click", () => { at = number; show(true); });
    return made;
  }

  async function show(move) {
    const each = shown[at];
    if (!each) return;
    open = address(each);
    list.setAttribute("aria-activedescendant", "row-" + at);
    const top = at * HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + HEIGHT - list.clientHeight;
    draw();
    remember();
    const chunk = await janus.load(each.run.key + "-" + Math.floor(each.number / each.run.chunk));
    if (open !== address(each)) return;
    const walk = make("div", {class: "walk"}, pace("Previous", -1, at > 0), pace("Next", 1, at < shown.length - 1), make("span", {class: "soft"}, `${(at + 1).toLocaleString("en")} of ${shown.length.toLocaleString("en")}`));
    $("sample").replaceChildren(walk, ...janus.sample(each.run, each.row, chunk[`${each.row[0]}/${each.row[1]}`]));
    if (move && matchMedia("(max-width: 800px)").matches) $("sample").scrollIntoView();
  }

  function pace(text, by, can) {
    const button = make("button", {type: "button", disabled: can ? null : ""}, text);
    button.addEventListener("click", () => step(by));
    return button;
  }

  function step(by) {
    at = Math.max(0, Math.min(shown.length - 1, at + by));
    return show(false);
  }

  document.addEventListener("keydown", event => {
    const typing = ["INPUT", "SELECT"].includes(event.target.tagName);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && typing) return event.target.blur();
    if (typing) { if (event.key === "Enter") { event.target.blur(); list.focus(); step(at < 0 ? 1 : 0); } return; }
    const button = event.target.tagName === "BUTTON" || event.target.tagName === "A";
    if (event.key === "j" || (event.key === "ArrowDown" && event.target === list)) step(1);
    else if (event.key === "k" || (event.key === "ArrowUp" && event.target === list)) step(-1);
    else if (event.key === "/") $("f-text").focus();
    else if (event.key === "Enter" && !button) { step(at < 0 ? 1 : 0); $("sample").focus(); }
    else return;
    event.preventDefault();
  });
  list.addEventListener("scroll", () => requestAnimationFrame(draw));
  addEventListener("resize", draw);
  addEventListener("hashchange", () => {
    names.forEach(name => { state[name] = janus.hash().get(name) || ""; });
    open = janus.hash().get("id") || "";
    begin();
  });
  names.forEach(name => $("f-" + name).addEventListener("input", event => {
    state[name] = event.target.value;
    if (name === "run" || name === "suite") {
      if (name === "suite" && state.suite) state.run = (chosen()[0] || runs.find(each => each.benchmark === state.suite)).key;
      if (name === "run" && state.run) state.suite = "";
      state.tag = state.protocol = "";
      begin();
    } else filter();
  }));

  function begin() {
    if (!names.some(name => state[name]) && !open) state.run = runs[0].key;
    janus.options($("f-run"), [["", "all runs"], ...runs.map(each => [each.key, `${each.label} on ${each.benchmark}`])], state.run);
    janus.options($("f-suite"), any(unique(runs.map(each => each.benchmark))), state.suite);
    for (const name of ["verdict", "sort", "text"]) $("f-" + name).value = state[name];
    read();
  }
  begin();
})();
