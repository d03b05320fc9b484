// Renews the page when the console has read the regions again, and makes the time line's slider and the search key work.
"use strict";

let known = document.body.dataset.version, stale = false, news = null;

// A page that is not seen needs no news, and a browser has few connections to one server.
function listen() {
  if (document.hidden) { if (news) news.close(); news = null; return; }
  if (news) return;
  news = new EventSource(document.body.dataset.news);
  news.onmessage = (event) => {
    document.getElementById("lost").hidden = true;
    if (known !== event.data) renew();
    known = event.data;
  };
  news.onerror = () => { document.getElementById("lost").hidden = false; };
}
document.addEventListener("visibilitychange", listen);

// The fields that a person can change, each with a name that is the same after the page is renewed.
function fields(main) {
  return [...main.querySelectorAll("input:not([type=hidden], [type=range]), select, textarea")]
    .map((field, _, all) => [`${field.name} ${all.filter((other) => other.name === field.name).indexOf(field)}`, field]);
}
function changed(field) {
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.options) return [...field.options].some((option) => option.selected !== option.defaultSelected);
  return field.value !== field.defaultValue;
}

// Replace what the page shows. A person who is typing is not disturbed; what was opened and typed stays.
async function renew() {
  const active = document.activeElement;
  const waits = active !== null && active.matches("main input[autofocus]") && !changed(active) && active;  // nobody has typed yet
  stale = active !== null && !waits && active.matches("main input, main select, main textarea");
  if (stale) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer || answer.redirected) return;
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = document.querySelector("main");
  const opened = [...main.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent);
  const typed = new Map(fields(main).filter(([, field]) => changed(field)).map(([key, field]) => [key, field]));
  const refused = main.querySelector(".refused");
  for (const part of ["main", "footer"]) document.querySelector(part).replaceChildren(...next.querySelector(part).childNodes);
  for (const summary of main.querySelectorAll("summary")) summary.parentElement.open ||= opened.includes(summary.textContent);
  for (const [key, field] of fields(main)) if (typed.has(key)) field.replaceWith(typed.get(key));
  if (refused) main.querySelector("h1").after(refused);
  const field = waits && main.querySelector("input[autofocus]");
  if (field) { field.focus(); field.setSelectionRange(waits.selectionStart, waits.selectionEnd); }
  prepare();
}
document.addEventListener("focusout", () => setTimeout(() => { if (stale) renew(); }));

function prepare() {
  for (const line of document.querySelectorAll(".drawing, .weeks")) {  // the newest points, and this week
    const last = line.querySelector("th.latest");
    line.scrollLeft = last ? last.offsetLeft + last.offsetWidth - line.clientWidth : line.scrollWidth;
  }
  const form = document.querySelector("form.moment[data-begin]");
  const slider = form && form.querySelector("input[type=range]");
  if (!slider) return;
  const begin = Date.parse(form.dataset.begin), end = Date.parse(form.dataset.end), moment = form.elements.at;
  slider.hidden = false;
  // The field has minutes: the next one, so that the point under the slider is taken.
  const minuteOf = (time) => new Date(Math.ceil(time / 60_000) * 60_000).toISOString().slice(0, 16);
  slider.oninput = () => { moment.value = minuteOf(begin + (end - begin) * slider.value / 1000); };
}

// Show what the fields of a form choose, without leaving the page. Of several answers the one to the latest fields counts.
let latest = 0, timer = null;
async function show(form) {
  const query = "?" + new URLSearchParams(new FormData(form)), number = ++latest;
  const answer = await fetch(location.pathname + query).catch(() => null);
  const next = answer && new DOMParser().parseFromString(await answer.text(), "text/html");
  if (!next || number !== latest) return;
  for (const part of document.querySelectorAll("[data-live]")) {
    const renewed = next.getElementById(part.id);
    if (renewed) part.replaceChildren(...renewed.childNodes);
  }
  if (query.length < 2000) history.replaceState(null, "", query);
}
document.addEventListener("input", (event) => {
  const form = event.target.closest("form.live");
  if (!form) return;
  clearTimeout(timer);
  timer = setTimeout(() => show(form), 250);
});

// A file's text becomes that of a field: it is not sent by itself.
document.addEventListener("change", async (event) => {
  const into = event.target.dataset.into, [file] = event.target.files || [];
  if (into && file) document.getElementById(into).value = await file.text();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  document.getElementById("search").focus();
});
listen();
prepare();
