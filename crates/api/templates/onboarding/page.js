// The page is whole without this. With it, the page follows what changes, reads answers as they are typed, and copies.
"use strict";

(() => {
  const main = () => document.getElementById("main");
  const live = document.getElementById("live");
  const say = (text) => { live.textContent = text; };

  // Copying.

  const copy = async (button) => {
    const text = document.getElementById(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      say("Copied.");
    } catch {
      const range = document.createRange();
      range.selectNodeContents(document.getElementById(button.dataset.copy));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      say("Selected: copy it with your keyboard.");
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };

  // Times: how long ago, or how long until.

  const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  const told = (time) => {
    const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
    const unit = UNITS.find(([, size]) => Math.abs(seconds) >= size);
    return unit ? relative.format(Math.trunc(seconds / unit[1]), unit[0]) : "just now";
  };
  const tellTimes = () => {
    for (const time of document.querySelectorAll("time")) {
      time.title ||= time.textContent;
      const text = told(time);
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // Answers, read as they are typed. They go in a request's body, never in an address.

  const timers = new WeakMap();
  const show = (input, reading) => {
    const said = document.getElementById(`${input.id}-said`);
    if (!said) return;
    const refused = reading?.refused;
    said.classList.toggle("refused", Boolean(refused));
    if (refused) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    const understood = reading?.understood;
    said.textContent = refused ?? (understood && understood !== input.value.trim() ? `Understood: ${understood}` : understood ? "Understood." : "");
  };
  const parse = async (form, input) => {
    const sent = input.value;
    if (sent.trim() === "") {
      show(input, undefined);
      return;
    }
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(`${main().dataset.page}/parse`, { method: "POST", body, cache: "no-store" });
      if (!answer.ok) return;
      const readings = await answer.json();
      if (input.value === sent) show(input, readings.find((reading) => reading.field === input.name));
    } catch {
      // It is read when it is sent.
    }
  };
  const typed = (event) => {
    const input = event.target;
    const form = input.form;
    if (!form?.matches("[data-parse]")) return;
    clearTimeout(timers.get(input));
    timers.set(input, setTimeout(() => parse(form, input), 400));
  };

  // What somebody is doing is kept when the page changes under them. A step that is done now folds, unless it is being filled in.

  const isPlain = (details) => details.matches(".how:not(.folded)") && !details.contains(document.activeElement);
  const doing = () => ({
    focus: document.activeElement?.id,
    selection: document.activeElement?.selectionStart ?? null,
    open: [...document.querySelectorAll("details[open]")].filter((details) => !isPlain(details)).map((details) => details.id),
    shut: [...document.querySelectorAll(".how:not([open])")].map((details) => details.id),
    entered: [...document.querySelectorAll("input")].filter((input) => input.value !== input.defaultValue).map((input) => [input.id, input.value]),
    scroll: [window.scrollX, window.scrollY],
  });
  const resume = (before) => {
    for (const id of before.open) document.getElementById(id)?.setAttribute("open", "");
    for (const id of before.shut) document.getElementById(id)?.removeAttribute("open");
    for (const [id, value] of before.entered) {
      const input = document.getElementById(id);
      if (!input) continue;
      input.value = value;
      if (input.form) parse(input.form, input);
    }
    const focus = before.focus && document.getElementById(before.focus);
    if (focus) {
      focus.focus({ preventScroll: true });
      if (before.selection !== null) focus.setSelectionRange?.(before.selection, before.selection);
    }
    window.scrollTo({ left: before.scroll[0], top: before.scroll[1], behavior: "instant" });
  };

  const statuses = (root) => new Map([...root.querySelectorAll(".check")].map((check) => [check.id, [check.querySelector("h4").textContent.replace(/\s+/g, " ").trim(), check.className]]));
  const announce = (before, after) => {
    const changed = [...after].filter(([id, [, status]]) => before.get(id)?.[1] !== status).map(([, [text]]) => text);
    if (changed.length > 0) say(`Changed: ${changed.join("; ")}.`);
  };

  const refresh = async () => {
    const page = main().dataset.page;
    const answer = await fetch(page, { cache: "no-store" });
    // What does not answer just now is no reason to take the page away.
    if (!answer.ok && answer.status !== 404 && answer.status !== 410) return;
    const there = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = there.getElementById("main");
    if (!next || "held" in main().dataset) return;
    const [before, was] = [doing(), statuses(document)];
    main().replaceWith(document.adoptNode(next));
    document.title = there.title;
    prepare();
    resume(before);
    announce(was, statuses(document));
    if (!answer.ok) say(there.title);
  };

  const prepare = () => {
    for (const button of document.querySelectorAll("button.copy")) button.hidden = false;
    const following = document.getElementById("following");
    if (following) following.hidden = false;
    tellTimes();
  };

  const follow = () => {
    let refreshing = Promise.resolve();
    const ask = () => {
      refreshing = refreshing.then(refresh).catch(() => {}).then(() => { if (!main().dataset.page) stream.close(); });
    };
    const stream = new EventSource(`${main().dataset.page}/events`);
    stream.addEventListener("changed", (event) => {
      if (event.data === main().dataset.revision) return;
      ask();
    });
    stream.addEventListener("error", () => {
      // The browser tries again by itself, unless it was told no; then the page asks now and then.
      if (stream.readyState === EventSource.CLOSED) {
        const poll = setInterval(() => { if (main().dataset.page) ask(); else clearInterval(poll); }, 30000);
      }
    });
    addEventListener("pagehide", () => stream.close());
    addEventListener("pageshow", (event) => { if (event.persisted && !("held" in main().dataset)) location.reload(); });
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.copy");
    if (button) copy(button);
  });
  document.addEventListener("input", typed);
  // A second press of a button does nothing while the first is under way.
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
    setTimeout(() => { delete event.target.dataset.sent; }, 5000);
  });

  prepare();
  setInterval(tellTimes, 30000);
  document.getElementById("summary")?.focus();
  if (main().dataset.page) follow();
})();
