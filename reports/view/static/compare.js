// Two runs of one suite: what flipped, side by side; several steps of one model: a line over the steps.
"use strict";
(() => {
  const {make} = janus, $ = id => document.getElementById(id), MOST = 200;
  const runs = janus.held.get("site").runs, find = key => runs.find(each => each.key === key);
  const state = {a: janus.hash().get("a") || "", b: janus.hash().get("b") || "", protocol: janus.hash().get("protocol") || ""};
  const title = run => `${run.label} on ${run.benchmark}`;

  const series = run => run.step === null ? [] : runs.filter(each => each.model === run.model && each.benchmark === run.benchmark && each.step !== null).sort((a, b) => a.step - b.step);

  function begin() {
    const trained = runs.map(series).find(each => each.length > 1);
    if (trained && !find(state.a)) [state.a, state.b] = [trained[0].key, trained[trained.length - 1].key];
    const first = find(state.a) || runs.find(each => runs.some(other => other !== each && other.benchmark === each.benchmark)) || runs[0];
    const others = runs.filter(each => each !== first && each.benchmark === first.benchmark);
    const second = others.find(each => each.key === state.b) || others.find(each => each.model === first.model && each.step !== null) || others[0];
    state.a = first.key;
    state.b = second ? second.key : "";
    janus.options($("c-a"), runs.map(each => [each.key, title(each)]), state.a);
    janus.options($("c-b"), others.map(each => [each.key, title(each)]), state.b);
    janus.options($("c-protocol"), first.protocols.map(each => [each, each]), state.protocol);
    state.protocol = $("c-protocol").value;
    janus.setHash(state);
    steps(first);
    if (second) flips(first, second);
    else { $("count").textContent = "There is no other run of this suite to compare with."; $("flips").replaceChildren(); }
  }

  async function flips(first, second) {
    const [one, two] = await Promise.all([janus.load(first.key), janus.load(second.key)]);
    const [p, q] = [first, second].map(run => run.protocols.indexOf(state.protocol));
    const other = new Map(two.rows.map((row, number) => [row[0] + "/" + row[1], [row, number]]));
    const line = series(first), path = line.length > 2 && line.includes(second) ? await Promise.all(line.map(async run => [run, new Map((await janus.load(run.key)).rows.map(row => [row[0] + "/" + row[1], row[5][run.protocols.indexOf(state.protocol)]]))])) : [];
    let shared = 0;
    const found = [];
    one.rows.forEach((row, number) => {
      const pair = other.get(row[0] + "/" + row[1]);
      if (!pair) return;
      shared += 1;
      if (p >= 0 && q >= 0 && row[5][p] !== pair[0][5][q]) found.push([row, number, ...pair]);
    });
    const won = found.filter(([row, , mate]) => (mate[5][q] ?? -1) > (row[5][p] ?? -1)).length;
    $("count").textContent = `${found.length} of ${shared} shared outputs flipped: ${won} better in the second, ${found.length - won} worse` + (found.length > MOST ? `; the first ${MOST} are shown` : "");
    $("flips").replaceChildren(...found.slice(0, MOST).map(([row, number, mate, place]) => {
      const body = make("div", {class: "pair"}), box = make("details", {class: "flip"}, make("summary", null, janus.chip(row[5][p]), " → ", janus.chip(mate[5][q]), " ", make("b", null, `${row[0]}/${row[1]}`), " " + (row[2] || ""), strip(path, row[0] + "/" + row[1])), body);
      box.addEventListener("toggle", async () => {
        if (!box.open || body.childNodes.length) return;
        const sides = [[first, row, number], [second, mate, place]];
        const chunks = await Promise.all(sides.map(([run, , at]) => janus.load(run.key + "-" + Math.floor(at / run.chunk))));
        body.replaceChildren(...sides.map(([run, each], side) => make("article", null, ...janus.sample(run, each, chunks[side][each[0] + "/" + each[1]]))));
      });
      return box;
    }));
  }

  // One square a training step: when a sample turned, and whether it turned back.
  function strip(path, id) {
    if (!path.length) return "";
    const said = path.map(([run, held]) => `step ${run.step}: ${janus.words[janus.verdict(held.get(id))]}`).join("; ");
    return make("svg", {class: "strip", viewBox: `0 0 ${path.length * 12} 10`, width: path.length * 12, height: 10, role: "img", "aria-label": said}, make("title", null, said),
      ...path.map(([, held], place) => make("rect", {class: "v-" + janus.verdict(held.get(id)), x: place * 12, y: 0, width: 10, height: 10, rx: 2})));
  }

  function steps(first) {
    const line = series(first).filter(each => each.headline === first.headline)
      .map(each => [each.step, ...each.shown]).filter(each => typeof each[1] === "number");
    if (line.length < 2) return $("steps").replaceChildren();
    const values = line.flatMap(each => each.slice(1)).filter(each => typeof each === "number"), low = Math.min(...values), high = Math.max(...values);
    const x = step => 60 + (step - line[0][0]) / (line[line.length - 1][0] - line[0][0] || 1) * 540, y = value => 200 - (value - low) / (high - low || 1) * 170;
    const svg = make("svg", {viewBox: "0 0 640 240", role: "img", "aria-label": line.map(each => `step ${each[0]}: ${each[1].toFixed(high <= 1 ? 3 : 1)}`).join("; ")},
      make("polyline", {class: "path", points: line.map(each => `${x(each[0])},${y(each[1])}`).join(" ")}));
    [low, (low + high) / 2, high].forEach(each => svg.append(make("line", {class: "grid", x1: 60, x2: 600, y1: y(each), y2: y(each)}), make("text", {class: "tick", x: 52, y: y(each) + 4, "text-anchor": "end"}, each.toFixed(high <= 1 ? 3 : 1))));
    line.forEach(([step, value, least, most]) => {
      const group = make("g", {class: "own"}, make("circle", {cx: x(step), cy: y(value), r: 5}, make("title", null, `step ${step}: ${value.toFixed(high <= 1 ? 3 : 1)}`)), make("text", {class: "tick", x: x(step), y: 228, "text-anchor": "middle"}, String(step)));
      if (typeof least === "number" && typeof most === "number") group.prepend(make("line", {class: "span", x1: x(step), x2: x(step), y1: y(least), y2: y(most)}));
      svg.append(group);
    });
    $("steps").replaceChildren(make("figure", null, make("figcaption", null, `${first.model} on ${first.benchmark}: ${first.headline} over training steps`), svg));
  }

  for (const name of ["a", "b", "protocol"]) $("c-" + name).addEventListener("input", event => { state[name] = event.target.value; begin(); });
  begin();
})();
