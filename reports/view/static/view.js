// What every page shares: data that scripts hand over, elements made of text alone, a look at a live server.
"use strict";
const janus = {
  held: new Map(), waiting: new Map(), version: null,
  put(name, value) {
    janus.held.set(name, value);
    (janus.waiting.get(name) || []).forEach(call => call(value));
    janus.waiting.delete(name);
  },
  // Load data/NAME.js once; file:// forbids fetch, not scripts. Names come from our own index.
  load(name) {
    if (janus.held.has(name)) return Promise.resolve(janus.held.get(name));
    return new Promise((call, fail) => {
      const first = !janus.waiting.has(name);
      janus.waiting.set(name, [...(janus.waiting.get(name) || []), call]);
      if (!first) return;
      const script = document.createElement("script");
      script.src = "data/" + encodeURIComponent(name) + ".js";
      script.onerror = () => fail(new Error("data/" + name + ".js is missing"));
      document.head.append(script);
    });
  },
  // make("p", {class: "soft"}, "text", element): text stays text, whatever a model wrote.
  make(tag, attributes, ...children) {
    const svg = ["svg", "g", "rect", "path", "circle", "line", "text", "polyline", "image", "title"].includes(tag);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [key, value] of Object.entries(attributes || {})) if (value !== null && value !== undefined) made.setAttribute(key, value);
    made.append(...children.filter(each => each !== null && each !== undefined && each !== ""));
    return made;
  },
  hash() { return new URLSearchParams(location.hash.slice(1)); },
  setHash(values) {
    const kept = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
    history.replaceState(null, "", "#" + new URLSearchParams(kept));
  },
  verdict(value) { return value === null || value === undefined ? "none" : value >= 1 ? "right" : value > 0 ? "part" : "wrong"; },
  words: {right: "right", part: "in part", wrong: "wrong", none: "no verdict"},
  chip(value) {
    const kind = janus.verdict(value);
    const text = kind === "part" ? String(Math.round(value * 100) / 100) : janus.words[kind];
    return janus.make("span", {class: "chip " + {right: "good", part: "odd", wrong: "bad", none: "none"}[kind]}, text);
  },
  options(select, pairs, chosen) {
    select.replaceChildren(...pairs.map(([value, text]) => janus.make("option", {value}, text)));
    select.value = pairs.some(([value]) => value === chosen) ? chosen : pairs.length ? pairs[0][0] : "";
  },
};
if (document.body.dataset.live) {
  const busy = () => document.activeElement && document.activeElement.tagName === "INPUT";
  janus.live = version => {
    if (janus.version !== null && version !== janus.version && !busy()) location.reload();
    if (janus.version === null) janus.version = version;
  };
  const look = () => {
    const script = janus.make("script", {src: "data/live.js?" + Date.now()});
    script.onload = script.onerror = () => script.remove();
    document.head.append(script);
  };
  look();
  setInterval(look, 3000);
}
