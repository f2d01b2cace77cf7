// Keeps the page as it is now. Without this script the page is whole, and shows what was when it was read.
"use strict";

const live = document.getElementById("live");
const announce = document.getElementById("announce");
const query = new URLSearchParams(location.search);
query.set("view", document.body.dataset.view);
let alerts = null;
let retry = 0;

// Makes `now` what `then` is, and leaves alone what is the same: focus, selection and open parts stay.
function morph(now, then) {
  if (now.nodeType !== then.nodeType || now.nodeName !== then.nodeName || now.id !== then.id) {
    now.replaceWith(then);
    return;
  }
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.nodeValue !== then.nodeValue) now.nodeValue = then.nodeValue;
    return;
  }
  for (const { name } of [...now.attributes]) if (!then.hasAttribute(name)) now.removeAttribute(name);
  for (const { name, value } of then.attributes) if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  children(now, then);
}

function children(now, then) {
  const before = [...now.childNodes];
  const after = [...then.childNodes];
  after.forEach((node, place) => {
    if (place < before.length) morph(before[place], node);
    else now.append(node);
  });
  before.slice(after.length).forEach((node) => node.remove());
}

function update(said) {
  document.getElementById("facts").textContent = new DOMParser().parseFromString(said.facts, "text/html").body.textContent;
  for (const [id, html] of Object.entries(said.sections)) {
    const section = document.getElementById(id);
    if (!section) continue;
    const made = document.createElement("template");
    made.innerHTML = html;
    children(section, made.content);
    section.hidden = html === "";
  }
  if (alerts !== null && alerts !== said.alerts) {
    announce.textContent = said.alerts === 0 ? "All is well again." : said.alerts + " things need a look now.";
  }
  alerts = said.alerts;
}

function say(words, state) {
  live.textContent = words;
  live.dataset.state = state;
}

function follow() {
  const events = new EventSource("/events?" + query);
  events.onopen = () => {
    retry = 0;
    say("live", "on");
  };
  events.onmessage = (event) => update(JSON.parse(event.data));
  events.onerror = () => {
    events.close();
    say("not connected; what you see is as of " + new Date().toISOString().slice(11, 19) + " UTC", "off");
    retry = Math.min(retry + 1, 6);
    setTimeout(follow, retry * 2000);
  };
  addEventListener("pagehide", () => events.close());
}

addEventListener("pageshow", (event) => {
  if (event.persisted) follow();
});
follow();
