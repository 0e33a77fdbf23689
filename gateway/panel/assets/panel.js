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

  // htmx puts no error into the page. After a change the person reads what the error page says.
  document.addEventListener("htmx:responseError", ({ detail }) => {
    if (detail.requestConfig.verb === "get") return;
    const page = new DOMParser().parseFromString(detail.xhr.responseText, "text/html");
    const notice = document.createElement("div");
    notice.className = "notice notice-bad";
    notice.setAttribute("role", "alert");
    const said = document.createElement("p");
    said.textContent = [...page.querySelectorAll("main h1, main p")].map((each) => each.textContent.trim()).join(" ");
    notice.append(said);
    document.getElementById("content").prepend(notice);
  });

  // Copy buttons are hidden until here: without JavaScript they would do nothing.
  const showCopyButtons = (root) => {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
  };
  // On a phone tabs are in one line: the current one is in sight.
  const showCurrentTabs = (root) => {
    for (const tab of root.querySelectorAll(".tabs [aria-current]")) {
      const line = tab.closest("ul");
      line.scrollLeft = tab.offsetLeft - line.offsetLeft - 40;
    }
  };
  const say = (text) => {
    const place = document.getElementById("said");
    if (place) place.textContent = text;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const text = button.dataset.copy || button.parentElement.querySelector("code").textContent;
    try { await navigator.clipboard.writeText(text); } catch { return; }
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
  // Replaces only the children that differ, so that focus, selection and players stay.
  const isSame = (old, fresh) => old.dataset.version && old.dataset.version === fresh.dataset.version || old.isEqualNode(fresh);
  const merge = (place, source) => {
    const keyOf = (element, index) => element.dataset.key || `${element.tagName} ${index}`;
    const known = new Map([...place.children].map((each, index) => [keyOf(each, index), each]));
    const wanted = [...source.children].map((fresh, index) => {
      const old = known.get(keyOf(fresh, index));
      if (!old) return fresh;
      if (isSame(old, fresh)) return old;
      if (!("merge" in old.dataset && "merge" in fresh.dataset)) return fresh;
      merge(old, fresh);
      return old;
    });
    for (const old of known.values()) if (!wanted.includes(old)) old.remove();
    let next = place.firstElementChild;
    for (const element of wanted) {
      if (element === next) next = next.nextElementSibling;
      else place.insertBefore(element, next);
    }
  };
  const tags = new WeakMap();
  const fetchAndMerge = async (part) => {
    const headers = { "HX-Request": "true" };
    if (tags.has(part)) headers["If-None-Match"] = tags.get(part);
    try {
      const answer = await fetch(part.dataset.liveUrl, { headers });
      if (answer.headers.get("HX-Redirect")) return location.assign(answer.headers.get("HX-Redirect"));
      if (answer.status !== 200) return;
      tags.set(part, answer.headers.get("ETag"));
      const source = document.createElement("template");
      source.innerHTML = await answer.text();
      merge(part, source.content);
    } catch { /* the next refresh tries again */ }
  };
  const refresh = (part) => {
    if ("liveMerge" in part.dataset) return document.hidden || fetchAndMerge(part);
    if (!window.htmx || document.hidden || isBusy(part)) return;
    // A source of its own: htmx drops requests of one source that wait behind each other.
    window.htmx.ajax("GET", part.dataset.liveUrl, { source: part, target: part, swap: "innerHTML" });
  };
  // A part that is as before stays: what is under the pointer, marked or focused does not blink.
  const shown = new WeakMap();
  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    if (!part.matches(LIVE)) return;
    if (shown.get(part) === event.detail.serverResponse) event.detail.shouldSwap = false;
    shown.set(part, event.detail.serverResponse);
  });
  const parts = (topic) => [...document.querySelectorAll(LIVE)].filter((part) => !topic || part.dataset.live.split(",").includes(topic));
  const topics = () => [...new Set(parts().flatMap((part) => part.dataset.live.split(",")))].sort().join(",");
  let source = null, followed = "", timer = null, again = null;
  const poll = () => {
    if (!timer) timer = setInterval(() => parts().forEach(refresh), REFRESH_MS);
  };
  const stopPolling = () => { clearInterval(timer); timer = null; };
  const stop = () => {
    source?.close();
    clearTimeout(again);
    source = again = null;
    followed = "";
  };
  const follow = () => {
    const wanted = topics();
    if (source && wanted === followed) return;
    stop();
    if (!wanted) return stopPolling();
    if (!window.EventSource) return poll();
    followed = wanted;
    source = new EventSource(`${document.body.dataset.livePath}?topics=${encodeURIComponent(wanted)}`);
    source.addEventListener("open", () => {
      stopPolling();
      // What changed before the stream began was not announced. A part that shows the answer to a form
      // (data-live-keep) stays.
      parts().filter((part) => !("liveKeep" in part.dataset) && !part.parentElement.closest(LIVE)).forEach(refresh);
    });
    source.addEventListener("changed", (event) => parts(event.data).forEach(refresh));
    source.addEventListener("ended", () => { stop(); location.reload(); });
    source.addEventListener("error", ({ target }) => {
      if (target !== source) return;
      poll();
      // A browser connects again by itself, but not after an answer such as 503 or 429.
      if (target.readyState !== EventSource.CLOSED) return;
      stop();
      again = setTimeout(follow, REFRESH_MS);
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    parts().forEach(refresh);
  });

  // Forms: Enter sends, Shift+Enter begins a line; the name of a chosen file shows in data-file-name.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !event.target.matches("[data-enter-sends]")) return;
    if (!window.matchMedia("(pointer: fine)").matches) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  });
  document.addEventListener("change", (event) => {
    const place = document.getElementById(event.target.dataset.fileName);
    if (place) place.textContent = event.target.files[0]?.name || "";
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-composer]")) return;
    if (event.target.classList.contains("is-sent")) event.preventDefault();
    event.target.classList.add("is-sent");
  });

  window.addEventListener("pagehide", () => { stop(); stopPolling(); });
  window.addEventListener("pageshow", follow);
  document.addEventListener("htmx:load", (event) => {
    showCopyButtons(event.detail.elt);
    showCurrentTabs(event.detail.elt);
    if (document.readyState === "complete") follow();  // a new part may have another topic
  });
  showCopyButtons(document);
  showCurrentTabs(document);

  // Live events: the stream of the account, newest first. It comes back with its last position.
  const MAX_EVENTS = 200, MAX_RETRY_MS = 15000;
  const liveEvents = (root) => {
    const list = root.querySelector("[data-events-list]"), state = root.querySelector("[data-events-state]");
    const pause = root.querySelector("[data-events-pause]"), form = root.querySelector("form");
    const names = new Map([...form.elements.instance.options].map((each) => [each.value, each.text]));
    let stream = null, last = "", waiting = [], isPaused = false, retryMs = 1000, retry = null, is = "connecting";
    const show = (now) => {
      is = now || is;
      const count = waiting.length < MAX_EVENTS ? waiting.length : `${MAX_EVENTS}+`;
      const paused = count ? `${root.dataset.textPaused}: ${count} ${root.dataset.textWaiting}` : root.dataset.textPaused;
      const isLost = is === "lost" || is === "full";
      const text = isPaused && !isLost ? paused : root.dataset[`text${is[0].toUpperCase()}${is.slice(1)}`];
      const label = state.querySelector("span");
      if (label.textContent !== text) label.textContent = text;
      state.className = `pill pill-${isLost ? "bad" : isPaused ? "warn" : is === "open" ? "ok" : "wait"}`;
      root.querySelector("[data-events-empty]").hidden = list.children.length > 0;
    };
    const rowOf = ({ at, type, instance, body }) => {
      const row = root.querySelector("template").content.firstElementChild.cloneNode(true);
      row.querySelector("time").textContent = at.toLocaleTimeString(document.documentElement.lang);
      row.querySelector("time").dateTime = at.toISOString();
      row.querySelector(".event-type").textContent = type;
      row.querySelector(".event-about").textContent = body.phone || body.reason || body.error || "";
      row.querySelector(".event-instance").textContent = names.get(instance) || instance;
      row.querySelector("details").addEventListener("toggle", () => {
        row.querySelector("code").textContent ||= JSON.stringify(body, null, 2);
      }, { once: true });
      return row;
    };
    const add = (events) => {
      const rows = events.slice(-MAX_EVENTS).map(rowOf).reverse();
      list.prepend(...rows);
      while (list.children.length > MAX_EVENTS) list.lastElementChild.remove();
      show();
    };
    const close = () => { clearTimeout(retry); stream?.close(); stream = null; };
    const open = () => {
      close();
      const query = new URLSearchParams(new FormData(form));
      if (last) query.set("after", last);
      const mine = stream = new EventSource(`${root.dataset.events}?${query}`);
      show("connecting");
      mine.addEventListener("open", () => { retryMs = 1000; show("open"); });
      mine.addEventListener("callback", (event) => {
        last = event.lastEventId;
        const found = { at: new Date(), ...JSON.parse(event.data) };
        if (!isPaused) return add([found]);
        waiting = [...waiting, found].slice(-MAX_EVENTS);
        show();
      });
      mine.addEventListener("ended", () => { close(); location.reload(); });
      mine.addEventListener("error", () => {
        if (mine !== stream) return;
        // The browser comes back by itself only where the answer was a stream.
        show("lost");
        close();
        retry = setTimeout(open, retryMs);
        retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
      });
    };
    pause.addEventListener("click", () => {
      isPaused = !isPaused;
      pause.setAttribute("aria-pressed", isPaused);
      if (!isPaused) add(waiting.splice(0));
      show();
    });
    const clear = () => { list.replaceChildren(); waiting = []; show(); };
    root.querySelector("[data-events-clear]").addEventListener("click", clear);
    form.addEventListener("change", () => {
      clear();
      history.replaceState(null, "", `?${new URLSearchParams(new FormData(form))}`);
      open();
    });
    window.addEventListener("pagehide", close);
    window.addEventListener("pageshow", open);
    window.addEventListener("online", open);
  };
  document.querySelectorAll("[data-events]").forEach(liveEvents);
})();
