// What pages do beyond HTML: live parts, copying, menus, the token of forms, the time zone.
"use strict";

(() => {
  const REFRESH_MS = 10000;
  const LIVE = "[data-live]";
  const cookie = (name, value) => {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  };

  // The server writes times in the zone of the browser from the next page on.
  try {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone && !document.cookie.includes(`gateway_panel_zone=${zone}`)) cookie("gateway_panel_zone", zone);
  } catch { /* an old browser: UTC */ }

  document.addEventListener("htmx:configRequest", (event) => {
    const token = document.querySelector("meta[name=csrf-token]");
    if (token) event.detail.headers["X-CSRF-Token"] = token.content;
  });

  // Copy buttons are hidden until here: without JavaScript they would do nothing.
  const showCopyButtons = (root) => {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
  };
  const say = (text) => {
    const place = document.getElementById("said");
    if (place) place.textContent = text;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = button.dataset.copy || button.parentElement.querySelector("code").textContent;
    await navigator.clipboard.writeText(text);
    button.classList.add("is-done");
    say(button.getAttribute("aria-label"));
    setTimeout(() => button.classList.remove("is-done"), 1500);
  });

  // Menus close by Escape, and by a click elsewhere.
  const closeMenus = (but) => {
    for (const menu of document.querySelectorAll("details.menu[open], details.help[open]")) {
      if (menu !== but && !menu.contains(but)) menu.open = false;
    }
  };
  document.addEventListener("click", (event) => closeMenus(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.querySelector("details.menu[open], details.help[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    } else if (location.hash === "#menu") location.hash = "content";
  });
  document.addEventListener("toggle", (event) => {
    if (!event.target.matches?.("[data-switcher]") || !event.target.open) return;
    event.target.dispatchEvent(new CustomEvent("opened"));
    event.target.querySelector("input").focus();
  }, true);

  // Dialogs: <button data-dialog="ID"> opens <dialog id="ID">; a button in it with
  // formmethod="dialog" closes it.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-dialog]");
    if (button) document.getElementById(button.dataset.dialog).showModal();
  });

  // Live parts. One stream per tab names the topics that changed; each part is fetched again.
  const isBusy = (part) => part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")
    || part.querySelector("details[open], dialog[open]");
  const refresh = (part) => {
    if (!window.htmx || document.hidden || isBusy(part)) return;
    window.htmx.ajax("GET", part.dataset.liveUrl, { target: part, swap: "innerHTML" });
  };
  const parts = (topic) => [...document.querySelectorAll(LIVE)].filter((part) => !topic || part.dataset.live.split(",").includes(topic));
  let source = null, timer = null;
  const poll = () => {
    if (!timer) timer = setInterval(() => parts().forEach(refresh), REFRESH_MS);
  };
  const follow = () => {
    const topics = [...new Set(parts().flatMap((part) => part.dataset.live.split(",")))];
    if (!topics.length || source) return;
    if (!window.EventSource) return poll();
    source = new EventSource(`${document.body.dataset.livePath}?topics=${encodeURIComponent(topics.join(","))}`);
    // What changed between the answer of the page and the stream was not told: ask once. A part
    // that shows what a form answered (data-live-keep) stays.
    source.addEventListener("open", () => {
      clearInterval(timer);
      timer = null;
      parts().filter((part) => !("liveKeep" in part.dataset) && !part.parentElement.closest(LIVE)).forEach(refresh);
    });
    source.addEventListener("changed", (event) => parts(event.data).forEach(refresh));
    source.addEventListener("ended", () => { source.close(); location.reload(); });
    source.addEventListener("error", poll);
  };
  const stop = () => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    parts().forEach(refresh);
  });
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", follow);
  document.addEventListener("htmx:load", (event) => showCopyButtons(event.detail.elt));
  showCopyButtons(document);
})();
