// Sliders and choices: each keeps its place in `state` and has the figures drawn anew.
let asked = false;
function redraw() {
  if (!asked) setTimeout(() => { asked = false; draw(); });
  asked = true;
}

function slider(control) {
  const last = control.values.length - 1;
  const input = make("input", { type: "range", id: `in-${control.name}`, min: 0, max: last, value: control.start });
  const output = make("output", { for: input.id });
  const row = make("div", { class: "row" }, input);
  const tell = () => {
    state[control.name] = Number(input.value);
    output.textContent = control.shown ? control.shown[input.value] : shown(control.values[input.value]);
    input.setAttribute("aria-valuetext", output.textContent);
    redraw();
  };
  input.addEventListener("input", tell);
  tell();
  if (control.play) row.append(player(input, tell));
  return make("div", { class: "control" }, make("label", { for: input.id }, control.label, output), row);
}

/** A button that moves a slider to its end, from the start when it is there already. */
function player(input, tell) {
  const button = make("button", { type: "button" }, "Play");
  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  };
  const move = () => {
    input.value = Number(input.value) + 1;
    tell();
    if (input.value === input.max) stop();
  };
  button.addEventListener("click", () => {
    if (timer !== null) return stop();
    if (input.value === input.max) input.value = 0;
    button.textContent = "Pause";
    timer = setInterval(move, 90);
  });
  return button;
}

function choice(control) {
  state[control.name] = control.start;
  const labels = control.options.map((option, i) => {
    const input = make("input", { type: "radio", name: control.name, value: i });
    input.checked = i === control.start;
    input.addEventListener("change", () => {
      state[control.name] = i;
      settle();
      redraw();
    });
    return make("label", {}, input, option);
  });
  return make("fieldset", {}, make("legend", {}, control.label), make("div", { class: "options" }, ...labels));
}

/** A slider that says nothing under the present choice is switched off. */
function settle() {
  for (const { name, only } of page.controls) {
    if (only) document.getElementById(`in-${name}`).disabled = state[only[0]] !== only[1];
  }
}

const controls = document.getElementById("controls");
for (const control of page.controls) controls.append(control.options ? choice(control) : slider(control));
settle();
draw();
new ResizeObserver(redraw).observe(document.body);
