// What a page must not have: texts that do not stand out from what is behind them, controls without a name.
"use strict";
({
  faint() {
    const channel = value => { value /= 255; return value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4; };
    const parts = text => (text.match(/[\d.]+/g) || []).map(Number);
    const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
    const behind = each => {
      for (; each; each = each.parentElement) {
        const found = parts(getComputedStyle(each).backgroundColor);
        if (found.length === 3 || found[3] > 0) return found;
      }
      return [255, 255, 255];
    };
    const found = new Set(), walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const each = walk.currentNode.parentElement, text = walk.currentNode.data.trim();
      if (!text || !each.getClientRects().length || each.closest("script, option, title, .label")) continue;
      const style = getComputedStyle(each), ink = each.closest("svg") ? style.fill : style.color;
      const [a, b] = [light(parts(ink)), light(behind(each))].sort((x, y) => y - x);
      if ((a + .05) / (b + .05) < 4.5 && !each.disabled) found.add(`${each.tagName}.${each.getAttribute("class")}: ${text.slice(0, 40)}`);
    }
    return [...found];
  },
  nameless() {
    const wanted = "a, button, select, input, summary, [role=img], [role=region], [role=listbox], img:not([alt])";
    const named = each => each.getAttribute("aria-label") || (each.textContent.trim() && each.tagName !== "SELECT") || each.closest("label")?.textContent.trim();
    return [...document.querySelectorAll(wanted)].filter(each => !named(each)).map(each => each.outerHTML.slice(0, 80));
  },
})
