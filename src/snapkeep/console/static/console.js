// Renews the page when the console has read the regions again, and makes the time line's slider and the search key work.
"use strict";

let known = null;
const news = new EventSource("/news");
news.onmessage = (event) => {
  document.getElementById("lost").hidden = true;
  if (known !== null && known !== event.data) renew();
  known = event.data;
};
news.onerror = () => { document.getElementById("lost").hidden = false; };

// Replace what the page shows. A person who is typing is not disturbed.
async function renew() {
  const typing = document.activeElement && document.activeElement.matches("main input, main select, main textarea");
  if (typing) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer || answer.redirected) return;
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of ["main", "footer"]) document.querySelector(part).replaceChildren(...next.querySelector(part).childNodes);
  prepare();
}

function prepare() {
  const form = document.querySelector("form.moment[data-begin]");
  const slider = form && form.querySelector("input[type=range]");
  if (!slider) return;
  const begin = Date.parse(form.dataset.begin), end = Date.parse(form.dataset.end), moment = form.elements.at;
  slider.hidden = false;
  // The field has minutes: the next one, so that the point under the slider is taken.
  const minuteOf = (time) => new Date(Math.ceil(time / 60_000) * 60_000).toISOString().slice(0, 16);
  slider.oninput = () => { moment.value = minuteOf(begin + (end - begin) * slider.value / 1000); };
  slider.onchange = () => form.requestSubmit();
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  document.getElementById("search").focus();
});
prepare();
