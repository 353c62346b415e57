const MODES = { split: "Slider", "only-before": "Before", "only-after": "After", difference: "Difference" };
const POLL = 700; // milliseconds between looks at the server while something happens, and while nothing does
const IDLE = 2500;
const UPLOADS = 2; // at the same time
const TYPING = 400; // milliseconds without a key after which a caption is taken
const STEP = 160; // pixels that an arrow key moves the part by
const strengths = [...document.querySelectorAll("#words span")].map((span) => ({ name: span.textContent, effect: span.dataset.effect }));
const state = { version: 0, photos: new Map(), cards: new Map(), queue: [], uploading: 0, chosen: 0, mode: "split", run: { left: null }, center: { x: 0.5, y: 0.5 }, preview: null };
const strength = () => strengths[$("strength").value].name;
const options = () => ({ strength: strength(), language: $("language").value });

// ---- talking to the server

async function ask(path, options = {}) {
  const answer = await fetch(path, options).catch(() => null);
  if (!answer) throw new Error("The server does not answer. Was it closed? Start protect web again.");
  const given = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(given.error ?? `The server answered ${answer.status}.`), { status: answer.status });
  return given;
}

const send = (path, method, value) => ask(path, { method, body: JSON.stringify(value) });
const tell = (error) => { $("wrong").textContent = error.message ?? error; };

let timer = 0;
async function poll() {
  clearTimeout(timer);
  try {
    const news = await ask(`state?since=${state.version}`);
    state.version = news.version;
    state.run = news.run;
    for (const photo of news.photos) state.photos.set(photo.id, photo);
    for (const id of news.removed) { state.photos.delete(id); state.cards.get(id)?.element.remove(); state.cards.delete(id); }
    for (const photo of news.photos) if (state.photos.has(photo.id)) draw(photo);
    sum();
  } catch (error) {
    if (!state.closed) tell(error);
  }
  if (!state.closed) timer = setTimeout(poll, state.run.running || state.uploading ? POLL : IDLE);
}

// ---- dropping and uploading

async function take(files) {
  $("wrong").textContent = "";
  if (!files.length) return;
  let drop;
  try {
    drop = await send("drop", "POST", { names: files.map(([name]) => name) });
  } catch (error) { return tell(error); }
  const left = drop.files.filter((use) => use.kind === "left" && use.reason !== "hidden file");
  for (const [index, use] of drop.files.entries()) {
    if (use.kind !== "text") continue;
    await ask(`drop/${drop.drop}/${index}`, { method: "PUT", body: files[index][1] }).catch(tell);
  }
  if (left.length) tell(`${left.length} of ${files.length} files left out: ${[...new Set(left.map((use) => use.reason))].join("; ")}`);
  for (const [index, use] of drop.files.entries()) if (use.kind === "photo") state.queue.push([use.id, files[index][1]]);
  for (let n = state.uploading; n < UPLOADS; n++) upload();
  poll();
}

async function upload() {
  state.uploading++;
  while (state.queue.length) {
    const [id, file] = state.queue.shift();
    await ask(`photos/${id}?modified=${Math.max(0, Math.floor(file.lastModified || 0))}`, { method: "PUT", body: file }).catch((error) => { if (error.status !== 413) tell(error); });
    if (!state.chosen) poll();
  }
  state.uploading--;
  poll();
}

// Names are as `protect photos` would see them: below the folder that was chosen.
const below = (path) => path.split("/").slice(1).join("/") || path;
const picked = (input) => [...input.files].map((file) => [file.webkitRelativePath ? below(file.webkitRelativePath) : file.name, file]);
for (const id of ["files", "folder"]) {
  $(id).onchange = () => { const files = picked($(id)); $(id).value = ""; take(files); };
}

async function walk(entry, prefix, files) {
  if (entry.isFile) files.push([prefix + entry.name, await new Promise((done, fail) => entry.file(done, fail))]);
  else {
    const reader = entry.createReader();
    for (let some; (some = await new Promise((done, fail) => reader.readEntries(done, fail))).length;) {
      for (const one of some) await walk(one, `${prefix}${entry.name}/`, files);
    }
  }
}

async function dropped(event) {
  event.preventDefault();
  $("zone").classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [];
  for (const entry of entries) {
    const inside = [];
    await walk(entry, "", inside).catch(tell);
    files.push(...inside.map(([name, file]) => [entry.isDirectory ? below(name) : name, file]));
  }
  take(files.length ? files : [...event.dataTransfer.files].map((file) => [file.name, file]));
}
addEventListener("dragover", (event) => { event.preventDefault(); $("zone").classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) $("zone").classList.remove("over"); });
addEventListener("drop", dropped);

// ---- the cards

function card(photo) {
  const image = make("img", { alt: "", loading: "lazy", decoding: "async" });
  const picture = make("button", { type: "button", class: "picture", onclick: () => choose(photo.id, true) }, image);
  picture.setAttribute("aria-label", `Look at ${photo.name}`);
  const cut = photo.name.lastIndexOf("/") + 1;
  const name = make("div", { class: "name", title: photo.name }, make("span", { class: "folder" }, photo.name.slice(0, cut)), photo.name.slice(cut));
  const area = make("textarea", { id: `caption-${photo.id}`, maxLength: 10000, placeholder: "No caption: a text will be suggested" });
  const label = make("label", { htmlFor: area.id }, "Caption");
  const parts = { image, picture, badges: make("div", { class: "badges" }), reason: make("p", { class: "reason" }), area, post: make("p", { class: "post" }), foot: make("div", { class: "foot" }), chosen: {} };
  let typing = 0;
  const taken = async () => {
    clearTimeout(typing);
    typing = 0;
    if (area.value !== state.photos.get(photo.id)?.caption) await edit(photo.id, { caption: area.value });
  };
  area.oninput = () => { clearTimeout(typing); typing = setTimeout(taken, TYPING); };
  area.onblur = taken;
  parts.edited = () => typing || document.activeElement === area;
  const text = make("div", { class: "text" }, name, parts.badges, parts.reason, label, area, parts.post, parts.foot);
  parts.element = make("article", {}, picture, text);
  parts.element.setAttribute("aria-label", photo.name);
  return parts;
}

async function edit(id, values) {
  await send(`photos/${id}`, "PATCH", values).catch(tell);
  await poll();
  if (state.chosen === id) look();
}

const WORDS = { waiting: "uploading", ready: "ready", working: "being protected", protected: "protected", skipped: "left alone", failed: "failed" };

function draw(photo) {
  if (!state.cards.has(photo.id)) state.cards.set(photo.id, card(photo));
  const parts = state.cards.get(photo.id);
  const problem = photo.state === "failed" || photo.state === "skipped";
  const place = $(problem ? "problems" : "photos").querySelector(".cards");
  if (parts.element.parentElement !== place) place.append(parts.element);
  parts.element.className = `card ${photo.state}${photo.id === state.chosen ? " chosen" : ""}`;
  const source = photo.state === "waiting" || problem ? "" : `photos/${photo.id}/small`;
  if (source && parts.image.getAttribute("src") !== source) parts.image.src = source;
  parts.badges.replaceChildren(...badges(photo));
  parts.reason.textContent = photo.reason;
  parts.reason.hidden = !photo.reason;
  if (!parts.edited()) parts.area.value = photo.caption;
  parts.area.readOnly = !photo.here;
  parts.post.hidden = !photo.done;
  posted(photo, parts);
  foot(photo, parts);
  if (!state.chosen && photo.here && !problem && photo.state !== "waiting") choose(photo.id);
}

function posted(photo, parts) {
  const key = JSON.stringify([photo.post, photo.others, photo.here]);
  if (parts.post.dataset.key !== key) { // else keeps the focus of who is choosing
    parts.post.dataset.key = key;
    parts.chosen.caption = photo.post;
    parts.list = photo.here && photo.others?.length ? texts([photo.post, ...photo.others]) : null;
    const title = make("b", {}, photo.suggested ? "Suggested text to post" : "Text to post");
    parts.post.replaceChildren(title, parts.list ?? (photo.post || "none"));
    if (!parts.list) return;
    parts.list.setAttribute("aria-label", `Suggested texts for ${photo.name}`);
    parts.list.onchange = () => edit(photo.id, { wanted: parts.list.value });
  }
  if (parts.list) parts.list.value = photo.wanted;
}

const texts = (some) => make("select", {}, ...some.map((text) => make("option", {}, text)));

function badges(photo) {
  const badge = (name, text) => make("span", { class: `badge ${name}` }, text);
  const list = [badge(photo.state, WORDS[photo.state])];
  if (photo.done && photo.state === "protected" && photo.strength) list.push(badge("suggested", photo.strength));
  if (photo.done && photo.state === "ready") list.push(badge("lowered", "text changed: protect again"));
  if (photo.done && photo.lowered) list.push(badge("lowered", "less noise"));
  if (photo.state === "working") list.push(make("progress", { ariaLabel: `Protecting ${photo.name}` }));
  return list;
}

function foot(photo, { foot: place, chosen }) {
  const key = JSON.stringify([photo.done, photo.post, photo.wanted, photo.state]);
  if (place.dataset.key === key) return; // keeps the focus of who is on a button
  place.dataset.key = key;
  const parts = [];
  if (photo.done) {
    const link = make("a", { class: "button", href: `photos/${photo.id}/file`, download: "" }, "Download");
    link.setAttribute("aria-label", `Download ${photo.name}`);
    parts.push(link);
    if (photo.post && photo.post === photo.wanted) { // else the file has another text yet
      const button = copier(chosen, "", "Copy caption");
      button.setAttribute("aria-label", `Copy caption of ${photo.name}`);
      parts.push(button);
    }
  }
  if (!photo.done && photo.state !== "working") {
    const button = make("button", { type: "button", class: "remove" }, "Remove");
    button.setAttribute("aria-label", `Remove ${photo.name}`);
    button.onclick = async () => { await ask(`photos/${photo.id}`, { method: "DELETE" }).catch(tell); poll(); };
    parts.push(button);
  }
  place.replaceChildren(...parts);
}

// ---- the run

const outdated = (photo) => photo.strength !== strength() || photo.language !== $("language").value;

function time(seconds) {
  if (seconds < 60) return `about ${Math.max(1, Math.round(seconds))} s left`;
  return `about ${Math.round(seconds / 60)} min left`;
}

function sum() {
  const photos = [...state.photos.values()], count = (test) => photos.filter(test).length;
  const { running, total, done, seconds_left: left, trouble } = state.run;
  const waiting = count((photo) => photo.state === "waiting"), finished = count((photo) => photo.done);
  const bad = count((photo) => photo.state === "failed" || photo.state === "skipped");
  const able = count((photo) => photo.here && (photo.state === "ready" || (photo.state === "protected" && outdated(photo))));
  $("start").hidden = running;
  $("start").disabled = !able;
  $("start").textContent = able ? `Protect ${able === 1 ? "1 photo" : `${able} photos`}` : "Protect";
  $("stop").hidden = $("bar").hidden = !running;
  $("progress").max = total || 1;
  $("progress").value = done || 0;
  $("all").hidden = !finished || running;
  $("problems").hidden = !bad;
  $("photos").hidden = photos.length === bad;
  const parts = [];
  if (running) parts.push(`${done} of ${total} done${left === null ? "" : `, ${time(left)}`}`);
  else {
    if (waiting) parts.push(`${waiting} uploading`);
    if (finished) parts.push(`${finished} protected`);
    if (bad) parts.push(`${bad} not protected`);
  }
  const said = parts.join(", ");
  if ($("status").textContent !== said) $("status").textContent = said;
  if (trouble) tell(`The run stopped: ${trouble}`);
}

$("start").onclick = async () => {
  $("wrong").textContent = "";
  await send("start", "POST", options()).catch(tell);
  poll();
};
$("stop").onclick = () => send("stop", "POST", {}).catch(tell).then(poll);
$("quit").onclick = async () => {
  if (!confirm("Close the server? Uploaded originals are deleted; protected photos stay in their folder.")) return;
  state.closed = true;
  await send("quit", "POST", {}).catch(tell);
  document.body.replaceChildren(make("p", { class: "message" }, "The server is closed. You can close this page."));
};

// ---- before and after, one pixel for one pixel

function choose(id, focus = false) {
  state.cards.get(state.chosen)?.element.classList.remove("chosen");
  state.chosen = id;
  state.cards.get(id)?.element.classList.add("chosen");
  state.center = { x: 0.5, y: 0.5 };
  $("look").hidden = false;
  $("title").textContent = state.photos.get(id).name;
  $("whole").src = `photos/${id}/small`;
  if (focus) {
    $("look").scrollIntoView({ block: "nearest" });
    $("stage").focus({ preventScroll: true });
  }
  look();
}

// One preview is asked for at a time; of those that were wanted meanwhile only the last one is.
let looking = false, again = false;
async function look() {
  again = true;
  if (looking) return;
  looking = true;
  while (again) {
    again = false;
    $("look").classList.add("busy");
    await preview().then(() => { $("trouble").hidden = true; }, (error) => { $("trouble").textContent = error.message; $("trouble").hidden = false; });
  }
  $("look").classList.remove("busy");
  looking = false;
}

async function preview() {
  const photo = state.photos.get(state.chosen), frame = $("frame"), scale = devicePixelRatio;
  if (!photo) return;
  if (!photo.here) throw new Error("Finished earlier. Drop its original again to compare or to change it.");
  const width = Math.ceil(frame.clientWidth * scale), height = Math.ceil(frame.clientHeight * scale);
  const size = state.preview?.id === photo.id ? state.preview.size : null;
  const corner = (share, whole, side) => Math.max(0, Math.round(share * whole - side / 2));
  const left = size ? corner(state.center.x, size[0], width) : 0, top = size ? corner(state.center.y, size[1], height) : 0;
  const made = await ask(`photos/${photo.id}/preview?${new URLSearchParams(options())}&left=${left}&top=${top}&width=${width}&height=${height}`);
  if (!size && (made.size[0] > width || made.size[1] > height)) { // its size was not known: now its middle
    state.preview = { id: photo.id, size: made.size };
    return preview();
  }
  await Promise.all(["before", "after"].map((side) => load($(side), `previews/${made.number}/${side}`)));
  state.preview = { id: photo.id, ...made };
  $("pair").style.width = `${made.part.width / scale}px`;
  $("pair").style.height = `${made.part.height / scale}px`;
  const share = (value, whole) => `${(100 * value) / whole}%`;
  Object.assign($("spot").style, {
    left: share(made.part.left, made.size[0]), top: share(made.part.top, made.size[1]),
    width: share(made.part.width, made.size[0]), height: share(made.part.height, made.size[1]),
  });
  $("post").textContent = made.caption || "no text";
  $("choice").hidden = !made.others.length;
  $("suggested").replaceChildren(...texts([made.caption, ...made.others]).children);
  $("suggested").value = made.caption; // options that are moved one by one are selected one by one
  $("note").textContent = `Shown at 1:1. Noise of at most ${made.epsilon.toFixed(1)} of 255${made.lowered ? ", lowered to keep this photo\u2019s quality" : ""}. The caption can be edited below.`;
  divide();
}

function load(image, source) {
  const next = new Image();
  next.src = source;
  return next.decode().then(() => { image.src = source; });
}

function divide() {
  const share = $("slider").value / 1000, frame = $("frame").getBoundingClientRect(), pair = $("pair").getBoundingClientRect();
  $("divider").style.left = `${share * frame.width}px`;
  const cut = Math.min(1, Math.max(0, (frame.left + share * frame.width - pair.left) / (pair.width || 1)));
  $("before").style.clipPath = state.mode === "split" ? `inset(0 ${100 - 100 * cut}% 0 0)` : "";
}

function mode(chosen) {
  state.mode = chosen;
  for (const name of Object.keys(MODES)) $("look").classList.toggle(name, name === chosen);
  for (const button of $("modes").children) button.setAttribute("aria-pressed", button.dataset.key === chosen);
  $("left").textContent = chosen === "difference" ? "difference \u00d7 16" : "before";
  divide();
}

function move(right, down) {
  const { size } = state.preview ?? {};
  if (!size) return;
  const inside = (value) => Math.min(1, Math.max(0, value));
  state.center = { x: inside(state.center.x + right / size[0]), y: inside(state.center.y + down / size[1]) };
  look();
}

function drag(element, go) {
  element.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    element.setPointerCapture(event.pointerId);
    let last = event;
    const moved = (now) => { go(now, last); last = now; };
    element.addEventListener("pointermove", moved);
    element.addEventListener("lostpointercapture", () => element.removeEventListener("pointermove", moved), { once: true });
    go(event, event);
  });
}

drag($("divider").firstElementChild, (event) => {
  const frame = $("frame").getBoundingClientRect();
  $("slider").value = Math.round((1000 * (event.clientX - frame.left)) / frame.width);
  divide();
});
drag($("stage"), (event, last) => {
  $("stage").focus({ preventScroll: true });
  const scale = devicePixelRatio;
  if (event !== last) move((last.clientX - event.clientX) * scale, (last.clientY - event.clientY) * scale);
});
drag($("map"), (event) => {
  const map = $("whole").getBoundingClientRect();
  state.center = { x: (event.clientX - map.left) / map.width, y: (event.clientY - map.top) / map.height };
  look();
});
$("stage").onkeydown = (event) => {
  const way = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
  if (!way) return;
  event.preventDefault();
  move(...way);
};
$("slider").oninput = divide;
addEventListener("resize", () => { if (state.chosen) look(); });

function word() {
  const { name, effect } = strengths[$("strength").value];
  $("word").textContent = name;
  $("effect").textContent = effect;
  $("strength").setAttribute("aria-valuetext", name);
}
$("strength").oninput = () => { word(); sum(); if (state.chosen) look(); };
$("language").onchange = () => { sum(); if (state.chosen) look(); };
$("suggested").onchange = () => edit(state.chosen, { wanted: $("suggested").value });

choices($("modes"), MODES, mode);
word();
mode("split");
poll();
