"use strict";

const $ = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const { class: name, ...others } = properties;
  const element = Object.assign(document.createElement(tag), others);
  if (name) element.className = name;
  element.append(...children.filter((child) => child !== ""));
  return element;
}

function choices(group, labels, choose) {
  for (const [key, label] of Object.entries(labels)) {
    const button = make("button", { type: "button" }, label);
    button.dataset.key = key;
    button.onclick = () => choose(key);
    group.append(button);
  }
}

function copier(photo, name = "", text = name ? "Copy the text to post" : "Copy text") {
  const button = make("button", { type: "button", class: `copy ${name}` }, text);
  const label = button.textContent;
  button.onclick = async () => {
    const done = await copy(photo.caption, button);
    button.textContent = done ? "Copied \u2713" : "Select it and copy";
    setTimeout(() => { button.textContent = label; }, 1600);
  };
  return button;
}

async function copy(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", { value: text });
    near.after(area); // inside an open dialog only its own elements can be selected
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

