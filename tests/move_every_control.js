// In a page: every control through all its positions. Which figures change, which are empty, and does it play?
const frame = () => new Promise((done) => setTimeout(done, 20));
const drawn = () => [...document.querySelectorAll("figure")].map((f) => f.innerHTML +
    [...f.querySelectorAll("canvas")].map((c) => c.toDataURL()).join());
const said = { moved: {}, empty: [] };
said.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
await frame();
const bare = (figure) => !figure.querySelector("path, rect, canvas, td");
said.empty = [...document.querySelectorAll("figure")].filter(bare).map((figure) => figure.id);
said.cut = [...document.querySelectorAll(".wide")].filter((d) => d.scrollWidth > d.clientWidth).map((d) => d.innerText);
const note = (name, before) => drawn().forEach((now, i) => { if (now !== before[i]) said.moved[name].add(i); });
const names = new Set([...document.querySelectorAll("#controls input")].map((i) => i.name || i.id.slice(3)));
for (const name of names) {
  said.moved[name] = new Set();
  const before = drawn(), slider = document.getElementById(`in-${name}`);
  if (slider) {
    const start = slider.value;
    for (const value of [...Array(Number(slider.max) + 1).keys(), start]) {
      slider.value = value;
      slider.dispatchEvent(new Event("input"));
      await frame();
      note(name, before);
    }
  } else {
    const radios = [...document.querySelectorAll(`input[name="${name}"]`)];
    for (const radio of [...radios, radios[0]]) { radio.click(); await frame(); note(name, before); }
  }
  said.moved[name] = [...said.moved[name]];
}
said.played = {};
for (const button of document.querySelectorAll("button")) {
  const slider = button.parentElement.querySelector("input");
  slider.value = 0;
  button.click();
  await new Promise((done) => setTimeout(done, 500));
  said.played[slider.id.slice(3)] = [Number(slider.value), button.textContent];
  button.click();
}
return said;
