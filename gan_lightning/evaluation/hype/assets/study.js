// The page of a HYPE study: asks the server for one image after another, shows it, and sends back what the person says.

const element = (id) => document.getElementById(id);
const canvas = element("canvas");
const context = canvas.getContext("2d");

const COUNTDOWN = ["3", "2", "1"];
const COUNT_MS = 500;
const MASKS = 4;
const MASK_MS = 30;
const FINEST_MASK = 128; // cells a side
const FEEDBACK_MS = 900;

let study; // what the server says of it: protocol, num, tutorial, ...
let settle = null; // takes the answer that is being waited for

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve)); // resolves in the frame, to its time

function show(id) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== id;
  document.querySelector(`#${id} h1`).focus();
}

async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server cannot be reached.");
  }
  const content = await response.json();
  if (!response.ok) throw new Error(content.error);
  return content;
}

function message(title, text, button) {
  element("title").textContent = title;
  element("text").textContent = text;
  element("score").hidden = true;
  const go = element("go");
  go.hidden = !button;
  go.textContent = button ?? "";
  show("message");
  return new Promise((resolve) => go.addEventListener("click", resolve, { once: true }));
}

// What is shown

function clear() {
  context.clearRect(0, 0, canvas.width, canvas.height);
}

function draw(image) {
  clear();
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
}

// Coloured noise of all scales at about the same strength, so that it hides coarse shapes and fine texture alike.
function noise() {
  const mask = document.createElement("canvas");
  mask.width = mask.height = FINEST_MASK;
  const whole = mask.getContext("2d");
  const layer = document.createElement("canvas");
  let layers = 0;
  for (let cells = 4; cells <= FINEST_MASK; cells *= 2) {
    layer.width = layer.height = cells;
    const pixels = new ImageData(cells, cells);
    for (let at = 0; at < pixels.data.length; at++) {
      pixels.data[at] = at % 4 === 3 ? 255 : Math.random() < 0.5 ? 0 : 255;
    }
    layer.getContext("2d").putImageData(pixels, 0, 0);
    layers += 1;
    whole.globalAlpha = 1 / layers;
    whole.drawImage(layer, 0, 0, FINEST_MASK, FINEST_MASK);
  }
  return mask;
}

async function decoded(address) {
  const image = new Image();
  image.src = address;
  try {
    await image.decode();
  } catch {
    throw new Error("The image could not be loaded.");
  }
  return image;
}

// Shows pictures one after another, each for as many whole frames as come nearest to its time; how long each was shown,
// by the frames' own clock.
async function present(pictures) {
  const before = await frame();
  let begun = await frame();
  const half = Math.min(begun - before, 20) / 2; // of a frame; a late one says nothing about the screen
  const lengths = [];
  for (const [picture, milliseconds] of pictures) {
    draw(picture);
    let now;
    do now = await frame();
    while (now - begun < milliseconds - half);
    lengths.push(now - begun);
    begun = now;
  }
  clear();
  return lengths;
}

async function countDown() {
  for (const digit of COUNTDOWN) {
    element("countdown").textContent = digit;
    await wait(COUNT_MS);
  }
  element("countdown").textContent = "";
}

// What is asked

// Not `disabled`, which would take the focus away from a button that was just pressed.
function answerable(yes) {
  for (const id of ["real", "fake"]) element(id).setAttribute("aria-disabled", !yes);
}

function answered() {
  answerable(true);
  return new Promise((resolve) => {
    settle = resolve;
  });
}

function say(answer) {
  if (!settle) return;
  answerable(false);
  settle(answer);
  settle = null;
}

function tell(text, kind = "") {
  element("question").textContent = text;
  element("question").className = kind;
}

async function trial(state) {
  const ahead = state.stage === "tutorial";
  element("part").textContent = ahead ? "Tutorial:" : study.blocks > 1 ? `Part ${state.block} of ${study.blocks}:` : "Image";
  element("count").textContent = `${state.number} of ${state.images}`;
  element("person").textContent = state.person;
  element("progress").max = state.images;
  element("progress").value = state.number - 1;
  tell("");
  clear();
  const image = await decoded(state.image);
  let shown = null;
  if (state.exposure === null) {
    await frame();
    draw(image);
  } else {
    const masks = Array.from({ length: MASKS }, () => [noise(), MASK_MS]);
    await countDown();
    [shown] = await present([[image, state.exposure], ...masks]);
  }
  tell("Is it real or fake?");
  const answer = await answered();
  const { correct, next } = await ask("/answer", { person: state.person, index: state.index, answer, shown });
  if (correct !== null) {
    const truth = correct === (answer === "real") ? "real" : "fake";
    tell(correct ? `✓ Right: it is ${truth}.` : `✗ Wrong: it is ${truth}.`, correct ? "right" : "wrong");
    await wait(FEEDBACK_MS);
  }
  return next;
}

function finish(state) {
  const percent = (value) => `${Math.round(value)} %`;
  const { error, fake_error, real_error, threshold } = state.score;
  const rows = [
    ["You were right in", percent(100 - error)],
    ["Fakes that you took for real", percent(fake_error)],
    ["Real images that you took for fake", percent(real_error)],
  ];
  if (threshold !== null) rows.unshift(["Time you needed to see an image", `${Math.round(threshold)} ms`]);
  message("Thank you!", `That was all, ${state.person}. Your answers are stored; you may close this page.`);
  element("score").replaceChildren(
    ...rows.flatMap(([term, value]) => {
      const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
      dt.textContent = term;
      dd.textContent = value;
      return [dt, dd];
    }),
  );
  element("score").hidden = false;
}

async function go(state) {
  let before = null; // the stage and block of the trial before
  while (state.stage === "tutorial" || state.stage === "study") {
    const part = `${state.stage} ${state.block}`;
    if (before !== null && before !== part) {
      await message(
        state.block === 1 ? "You passed the tutorial." : `Part ${state.block - 1} of ${study.blocks} is done.`,
        state.block === 1
          ? `Now it counts: ${study.num} images${study.blocks > 1 ? " in each part" : ""}, half of them real.`
          : "Rest your eyes for as long as you like.",
        "Go on",
      );
    }
    if (before !== part) show("trial");
    before = part;
    state = await trial(state);
  }
  if (state.stage === "done") {
    finish(state);
  } else {
    message(
      "Thank you for trying.",
      `This study needs people who tell ${Math.round(100 * study.pass_mark)} % of the real images and of the fakes right in the tutorial. This time it ends here.`,
    );
  }
}

async function join(given) {
  let state = await ask("/join", { person: given });
  const { person } = state;
  history.replaceState(null, "", `#${new URLSearchParams({ person })}`); // so that a reload knows; no server sees it
  for (;;) {
    try {
      state ??= await ask("/join", { person });
      return await go(state);
    } catch (error) {
      state = null;
      await message("There is a problem.", `${error.message} Nothing that you answered is lost.`, "Try again");
    }
  }
}

async function welcome() {
  study = await ask("/study");
  canvas.width = study.width;
  canvas.height = study.height;
  const images = study.num * study.blocks;
  const timed = study.protocol === "time";
  element("task").textContent =
    `You will see ${images} images, one at a time. Half are real, the others were made by a computer. Say of each which it is.`;
  const facts = [
    timed
      ? "Each appears for less than a second, after a countdown, and is then hidden by flickering noise. Do not take part if flashing pictures can harm you."
      : "Look for as long as you like.",
    matchMedia("(pointer: coarse)").matches ? "Tap Real or Fake." : "Press R for real or F for fake, or use the buttons.",
  ];
  if (timed) facts.push(`There are ${study.blocks} parts of ${study.num} images, with a rest between them.`);
  if (study.tutorial) facts.unshift(`A tutorial of ${study.tutorial} images comes first: it tells you what was right.`);
  element("facts").replaceChildren(
    ...facts.map((fact) => {
      const item = document.createElement("li");
      item.textContent = fact;
      return item;
    }),
  );
  element("name").value = new URLSearchParams(location.hash.slice(1)).get("person") ?? "";
  show("welcome");
}

element("real").addEventListener("click", () => say("real"));
element("fake").addEventListener("click", () => say("fake"));
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const answer = { r: "real", f: "fake" }[event.key.toLowerCase()];
  if (answer) say(answer);
});
element("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  element("refusal").textContent = "";
  try {
    await join(element("name").value);
  } catch (error) {
    element("refusal").textContent = error.message;
  }
});

try {
  await welcome();
} catch (error) {
  await message("There is a problem.", error.message, "Try again");
  location.reload();
}
