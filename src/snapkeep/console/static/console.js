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

// Replace what the page shows. A person who is typing is not disturbed; what was opened and typed stays.
async function renew() {
  stale = document.activeElement !== null && document.activeElement.matches("main input, main select, main textarea");
  if (stale) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer || answer.redirected) return;
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  const main = document.querySelector("main");
  const opened = [...main.querySelectorAll("details[open] > summary")].map((summary) => summary.textContent);
  const typed = [...main.querySelectorAll("input[name=typed]")].map((input) => input.value);
  for (const part of ["main", "footer"]) document.querySelector(part).replaceChildren(...next.querySelector(part).childNodes);
  for (const summary of main.querySelectorAll("summary")) summary.parentElement.open ||= opened.includes(summary.textContent);
  main.querySelectorAll("input[name=typed]").forEach((input, number) => { input.value = typed[number] || ""; });
  prepare();
}
document.addEventListener("focusout", () => setTimeout(() => { if (stale) renew(); }));

function prepare() {
  for (const line of document.querySelectorAll(".timeline")) line.scrollLeft = line.scrollWidth;  // the newest points
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

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  document.getElementById("search").focus();
});
listen();
prepare();
