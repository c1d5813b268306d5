// What a reader would see of a report at this width: a list of what is cut, hidden, overlapping or empty.
const found = [], wide = document.documentElement.clientWidth;
const name = (el) => `<${el.tagName.toLowerCase()} ${el.id || el.className}> ${el.textContent.trim().slice(0, 40)}`;
const seen = (el) => el.checkVisibility() && el.getBoundingClientRect().width > 0;
const all = (what, within = document) => [...within.querySelectorAll(what)].filter(seen);

// cut
if (document.documentElement.scrollWidth > innerWidth) found.push(`page of ${document.documentElement.scrollWidth} px`);
const scroll = (el) => el.parentElement.closest(".scroll, .drawing, pre");
for (const el of all("body *:not(svg *)")) {
  const box = el.getBoundingClientRect(), inside = scroll(el);
  if (inside) {
    const from = inside.getBoundingClientRect().left - inside.scrollLeft;
    if (box.left < from - 1 || box.right > from + inside.scrollWidth + 1) found.push(`out of reach: ${name(el)}`);
  } else if (box.left < -1 || box.right > wide + 1) found.push(`cut: ${name(el)}`);
  const kind = getComputedStyle(el);
  if (kind.overflowX === "hidden" && el.scrollWidth > el.clientWidth + 1) found.push(`hidden: ${name(el)}`);
}

// the first column stays, whatever is scrolled to
for (const box of all(".scroll")) {
  box.scrollIntoView({ block: "center" });
  for (const to of [0, box.scrollWidth]) {
    box.scrollLeft = to;
    const frame = box.getBoundingClientRect();
    for (const row of box.querySelectorAll("tr")) {
      const first = row.cells[0].getBoundingClientRect(), last = [...row.cells].at(-1).getBoundingClientRect();
      if (first.left < frame.left - 1 || first.right > frame.right + 1) found.push(`first column: ${name(row)}`);
      if (to && last.right > frame.right + 1) found.push(`last column: ${name(row)}`);
      const [x, y] = [first.left + first.width / 2, first.top + first.height / 2];
      const top = 0 < y && y < innerHeight ? document.elementFromPoint(x, y) : null;
      if (top && !row.cells[0].contains(top)) found.push(`first column lies below: ${name(row)}`);
    }
  }
  box.scrollLeft = 0;
}

// overlapping
const blocks = all("h1, h2, h3, h4, p, li, dl, pre, summary, figcaption, .scroll, .drawing, section");
const boxes = blocks.map((el) => el.getBoundingClientRect());
for (let i = 0; i < blocks.length; i++)
  for (let j = i + 1; j < blocks.length; j++) {
    const [a, b] = [boxes[i], boxes[j]];
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 1 && down > 1 && !blocks[i].contains(blocks[j]) && !blocks[j].contains(blocks[i]))
      found.push(`overlap: ${name(blocks[i])} and ${name(blocks[j])}`);
  }

// empty
for (const table of all("table")) {
  const texts = [...table.querySelectorAll("tbody td")].map((cell) => cell.textContent.trim());
  if (!texts.length || texts.every((text) => !text || text === "-")) found.push(`nothing in: ${name(table)}`);
}
for (const image of all("img")) if (!image.naturalWidth) found.push(`no picture: ${name(image)}`);
for (const svg of all(".drawing > svg")) if (svg.querySelectorAll("path").length < 20) found.push(`blank: ${name(svg)}`);
for (const el of all("figcaption, li, h2, h3, h4, .scroll, .drawing"))
  if (!el.textContent.trim() && !el.querySelector("img")) found.push(`empty: ${name(el)}`);
for (const section of all("section")) {
  const rest = [...section.children].filter((child) => !/^H\d$/.test(child.tagName) && seen(child));
  if (!rest.some((child) => child.textContent.trim() || child.querySelector("img"))) found.push(`empty: ${name(section)}`);
}
return found;
