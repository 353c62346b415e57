const CHUNK = 60;
const MODES = { split: "Slider", "only-before": "Before", "only-after": "After", difference: "Difference" };
const ZOOMS = { whole: "Fit", actual: "1:1" };
const FILTERS = {
  all: ["All", () => true],
  attention: ["Needs attention", (photo) => attention(photo) < 3],
  protected: ["Protected", (photo) => photo.status === "protected"],
  skipped: ["Skipped", (photo) => photo.status === "skipped"],
  failed: ["Failed", (photo) => photo.status === "failed"],
  suggested: ["Suggested text", (photo) => photo.suggested],
};
const byName = new Intl.Collator(undefined, { numeric: true }).compare;
const ORDERS = {
  attention: (a, b) => attention(a) - attention(b) || byName(a.name, b.name),
  name: (a, b) => byName(a.name, b.name),
  changed: (a, b) => (a.ssim ?? 2) - (b.ssim ?? 2) || byName(a.name, b.name),
};
const state = { filter: "all", shown: [], drawn: 0, open: -1, mode: "split", zoom: "whole" };

function attention(photo) {
  return photo.status === "failed" ? 0 : photo.status === "skipped" ? 1 : photo.lowered || photo.reason ? 2 : 3;
}

// ---- the grid

function start() {
  if (!window.PHOTOS) {
    $("photos").replaceWith(make("p", { class: "message" },
      "Nothing to show: the list of photos is in the folder _protect/private beside this page, which is not here."));
    document.querySelector("nav").hidden = true;
    return;
  }
  for (const photo of PHOTOS.photos) photo.words = `${photo.name}\n${photo.caption ?? ""}\n${photo.former ?? ""}`.toLowerCase();
  for (const [key, [label, test]] of Object.entries(FILTERS)) {
    const count = PHOTOS.photos.filter(test).length;
    if (key !== "all" && !count) continue;
    const button = make("button", { type: "button" }, label, make("small", {}, count.toLocaleString()));
    button.dataset.filter = key;
    button.onclick = () => { state.filter = key; list(); };
    $("filters").append(button);
  }
  if (PHOTOS.alone) { // without originals there is nothing to compare, and nothing private
    state.mode = "only-after";
    $("modes").hidden = $("private").hidden = true;
  }
  choices($("modes"), MODES, (mode) => { state.mode = mode; look(); });
  choices($("zooms"), ZOOMS, (zoom) => zoomTo(zoom));
  $("summary").textContent = summary();
  $("search").oninput = list;
  $("order").onchange = list;
  new IntersectionObserver((seen) => { if (seen.some((entry) => entry.isIntersecting)) draw(); }, { rootMargin: "1500px" }).observe($("more"));
  list();
}

function summary() {
  const count = (status) => PHOTOS.photos.filter((photo) => photo.status === status).length;
  const parts = [`${count("protected").toLocaleString()} protected`];
  for (const status of ["skipped", "failed"]) if (count(status)) parts.push(`${count(status).toLocaleString()} ${status}`);
  const left = count("skipped") + count("failed");
  return parts.join(", ") + (left ? ". What was skipped or failed is not in this folder." : ".");
}

function list() {
  const wanted = $("search").value.trim().toLowerCase().split(/\s+/);
  const test = FILTERS[state.filter][1];
  state.shown = PHOTOS.photos.filter((photo) => test(photo) && wanted.every((word) => photo.words.includes(word)));
  state.shown.sort(ORDERS[$("order").value]);
  for (const button of $("filters").children) button.setAttribute("aria-pressed", button.dataset.filter === state.filter);
  $("photos").replaceChildren();
  state.drawn = 0;
  $("none").hidden = state.shown.length > 0;
  draw();
}

function draw() {
  const next = state.shown.slice(state.drawn, state.drawn + CHUNK);
  $("photos").append(...next.map((photo, index) => card(photo, state.drawn + index)));
  state.drawn += next.length;
  // the observer only tells of changes: go on as long as the end of the list is still near
  if (next.length) requestAnimationFrame(() => { if ($("more").getBoundingClientRect().top < innerHeight + 1500) draw(); });
}

function card(photo, index) {
  const open = () => view(index);
  let picture;
  if (photo.small) {
    const image = make("img", { loading: "lazy", decoding: "async", alt: "", src: PHOTOS.private + photo.small });
    picture = make("button", { class: "picture", type: "button", onclick: open, title: "Compare before and after" }, image);
    picture.setAttribute("aria-label", `Compare before and after: ${photo.name}`);
  } else if (photo.status === "protected") {
    picture = make("button", { class: "picture", type: "button", onclick: open }, "open");
  } else {
    picture = make("div", { class: "picture" }, make("b", {}, photo.status === "failed" ? "\u26a0" : "\u2298"), "not protected");
  }
  const cut = photo.name.lastIndexOf("/") + 1;
  const name = make("div", { class: "name", title: photo.name }, make("span", { class: "folder" }, photo.name.slice(0, cut)), photo.name.slice(cut));
  const text = make("div", { class: "text" }, name, badges(photo));
  if (photo.reason) text.append(make("p", { class: "reason" }, photo.reason));
  if (photo.status === "protected") {
    text.append(make("p", { class: "caption" }, photo.caption || "No text to post."));
    text.append(make("div", { class: "foot" }, photo.caption ? copier(photo) : "", make("small", {}, `SSIM ${figure(photo.ssim, 3)}`)));
  }
  return make("article", { class: `card ${photo.status}` }, picture, text);
}

function badges(photo) {
  const row = make("div", { class: "badges" });
  if (photo.status !== "protected") row.append(make("span", { class: `badge ${photo.status}` }, photo.status));
  if (photo.lowered) row.append(make("span", { class: "badge lowered" }, "less noise"));
  if (photo.suggested) row.append(make("span", { class: "badge suggested" }, "suggested text"));
  return row.childElementCount ? row : "";
}

function figure(value, digits) {
  return value === undefined ? "\u2013" : value.toFixed(digits);
}

// ---- one photo: before, after, difference

function view(index) {
  const photo = state.shown[index];
  state.open = index;
  $("title").textContent = photo.name;
  $("previous").disabled = step(-1) < 0;
  $("next").disabled = step(1) < 0;
  $("trouble").hidden = true;
  $("slider").value = 500;
  load(photo);
  $("about").replaceChildren(...about(photo));
  if (!$("viewer").open) $("viewer").showModal();
  zoomTo("whole");
  look();
}

function step(way) {
  let index = state.open + way;
  while (state.shown[index] && state.shown[index].status !== "protected") index += way;
  return state.shown[index] ? index : -1;
}

function load(photo) {
  const before = photo.views ? PHOTOS.private + photo.views[0] : PHOTOS.before + photo.path;
  const after = photo.views ? PHOTOS.private + photo.views[1] : photo.path;
  const absent = (what) => { $("trouble").textContent = what; $("trouble").hidden = false; };
  $("after").onerror = () => absent("The protected picture cannot be shown: it was moved, or this browser cannot read it.");
  $("after").src = after;
  if (PHOTOS.alone) return;
  $("before").onerror = () => {
    if (!photo.views && $("before").src !== PHOTOS.elsewhere + photo.path) {
      $("before").src = PHOTOS.elsewhere + photo.path;
      return;
    }
    absent(`The original cannot be shown: it is not at ${PHOTOS.source}/${photo.name} any more, or this browser cannot read it.`);
  };
  $("before").src = before;
}

function look() {
  $("viewer").className = `${state.mode} ${state.zoom}`;
  for (const button of [...$("modes").children, ...$("zooms").children]) {
    button.setAttribute("aria-pressed", button.dataset.key === state.mode || button.dataset.key === state.zoom);
  }
  $("left").textContent = state.mode === "difference" ? "difference \u00d7 16" : "before";
  divide();
}

function zoomTo(zoom, x = 0.5, y = 0.5) {
  const photo = state.shown[state.open], stage = $("stage");
  state.zoom = zoom;
  const fit = Math.min($("frame").clientWidth / photo.width, $("frame").clientHeight / photo.height, 3);
  const scale = zoom === "whole" ? fit : 1 / devicePixelRatio;
  $("pair").style.width = `${photo.width * scale}px`;
  $("pair").style.height = `${photo.height * scale}px`;
  stage.scrollLeft = x * stage.scrollWidth - stage.clientWidth / 2;
  stage.scrollTop = y * stage.scrollHeight - stage.clientHeight / 2;
  look();
}

function divide() {
  const share = $("slider").value / 1000, frame = $("frame").getBoundingClientRect(), pair = $("pair").getBoundingClientRect();
  const x = share * frame.width;
  $("divider").style.left = `${x}px`;
  const cut = Math.min(1, Math.max(0, (frame.left + x - pair.left) / pair.width));
  $("before").style.clipPath = state.mode === "split" ? `inset(0 ${100 - 100 * cut}% 0 0)` : "";
}

function about(photo) {
  const parts = [];
  if (photo.caption) {
    parts.push(make("div", {}, make("h3", {}, photo.suggested ? "Suggested text to post" : "Text to post"), make("blockquote", {}, photo.caption), copier(photo, "main")));
  }
  if (photo.former) parts.push(make("div", { class: "former" }, make("h3", {}, `Caption before (${photo.from}): keep it to yourself`), photo.former));
  const rows = [
    ["SSIM at display size", figure(photo.ssim, 4)],
    ["Noise of at most", `${figure(photo.epsilon, 1)} of 255`],
    ["Largest change in the file", `${figure(photo.linf, 0)} of 255`],
    ["Signal to noise (PSNR)", `${figure(photo.psnr, 1)} dB`],
    ["Size", `${photo.width} \u00d7 ${photo.height}`],
    ["Time", `${figure(photo.seconds, 1)} s`],
  ];
  parts.push(make("div", {}, make("h3", {}, "What was changed"), make("dl", {}, ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]))));
  if (photo.lowered) parts.push(make("p", {}, "This photo bears little noise. It got less than asked for, so that it keeps its quality; it is protected less."));
  if (photo.reason) parts.push(make("p", {}, photo.reason));
  if (photo.views) parts.push(make("p", {}, "Shown as a smaller copy, as browsers cannot show this file at its size or of its kind. The files themselves are unchanged."));
  parts.push(make("p", {}, "SSIM is 1 for equal pictures. In the difference black is unchanged, and a change by 8 of 255 is half bright; it is exact at 1:1."));
  return parts;
}

// ---- hands

function drag(element, move, accept = () => true) {
  element.addEventListener("pointerdown", (event) => {
    if (event.button || !accept(event)) return;
    element.setPointerCapture(event.pointerId);
    const from = { x: event.clientX, y: event.clientY, left: $("stage").scrollLeft, top: $("stage").scrollTop };
    const go = (moved) => move(moved, from);
    element.addEventListener("pointermove", go);
    element.addEventListener("lostpointercapture", () => element.removeEventListener("pointermove", go), { once: true });
    go(event);
  });
}

function slideTo(event) {
  const frame = $("frame").getBoundingClientRect();
  $("slider").value = Math.round((1000 * (event.clientX - frame.left)) / frame.width);
  divide();
}

drag($("divider").firstElementChild, slideTo);
drag($("stage"), (event, from) => {
  if (state.zoom === "whole") {
    if (state.mode === "split") slideTo(event);
  } else {
    $("stage").scrollLeft = from.left + from.x - event.clientX;
    $("stage").scrollTop = from.top + from.y - event.clientY;
  }
}, (event) => event.pointerType === "mouse" || state.zoom === "whole");
$("stage").ondblclick = (event) => {
  const pair = $("pair").getBoundingClientRect();
  if (state.zoom === "actual") zoomTo("whole");
  else zoomTo("actual", (event.clientX - pair.left) / pair.width, (event.clientY - pair.top) / pair.height);
};
$("stage").onscroll = divide;
$("slider").oninput = divide;
$("previous").onclick = () => view(step(-1));
$("next").onclick = () => view(step(1));
$("close").onclick = () => $("viewer").close();
$("viewer").onclose = () => { $("before").removeAttribute("src"); $("after").removeAttribute("src"); };
$("viewer").onkeydown = (event) => {
  if (event.target === $("slider") || event.ctrlKey || event.metaKey || event.altKey) return;
  const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (way && step(way) >= 0) view(step(way));
};
addEventListener("resize", () => { if ($("viewer").open) zoomTo(state.zoom); });
start();
