/* What the pages do better with scripts. Without them every form and link still works. */
(() => {
  "use strict";

  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const on = (event, handler, options) => document.addEventListener(event, handler, options);

  /* ---- Cookies: what is remembered of this browser, and of nobody ---------- */

  const named = (name) => `${$("meta[name=cookies]").content}-${name}`;
  const remembers = (name, value) => document.cookie.split("; ").includes(`${named(name)}=${value}`);
  function remember(name, value) {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${named(name)}=${value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
  }

  /* The server shows times in the zone of this cookie. */
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && !remembers("tz", zone)) remember("tz", zone);

  /* ---- Keyboard ------------------------------------------------------------ */

  const shortcutsOff = () => remembers("shortcuts", "off");

  const isTyping = (target) =>
    target.isContentEditable || target.matches("input:not([type=checkbox], [type=radio]), select, textarea");

  function moveRow(step) {
    const links = $$(".users tbody a");
    const index = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
    const from = index < 0 && step < 0 ? links.length : index;
    links[Math.min(Math.max(from + step, 0), links.length - 1)]?.focus();
    return links.length > 0;
  }

  /* A page names its own targets by aria-keyshortcuts: a field gets the focus, a link is followed. */
  function useTarget(key) {
    const target = $(`[aria-keyshortcuts="${CSS.escape(key)}"]`);
    if (!target) return false;
    if (isTyping(target)) {
      target.focus();
      target.select();
    } else {
      target.click();
    }
    return true;
  }

  function tickRow() {
    const row = document.activeElement.closest(".users tbody tr");
    const box = row && $("input[name=id]", row);
    box?.click();
    return Boolean(box);
  }

  function useKey(key) {
    if (key === "x") return tickRow();
    if (key === "j" || key === "k") return moveRow(key === "j" ? 1 : -1);
    if (key !== "?") return ["/", "n", "e"].includes(key) && useTarget(key);
    $("#shortcuts")?.showModal();
    return true;
  }

  on("keydown", (event) => {
    if (event.key === "Escape") return closeMenus();
    if (event.key === " " && event.target.matches("a[role=button][href]")) {
      event.preventDefault(); // what is called a button answers to Space as well
      return event.target.click();
    }
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target) || $("dialog[open]") || shortcutsOff()) return;
    if (useKey(event.key)) event.preventDefault();
  });

  /* Single keys get in the way of speech input, so they can be switched off (WCAG 2.1.4). */
  for (const box of $$("[data-shortcuts]")) box.checked = !shortcutsOff();
  on("change", (event) => {
    if (!event.target.matches("[data-shortcuts]")) return;
    remember("shortcuts", event.target.checked ? "on" : "off");
    for (const box of $$("[data-shortcuts]")) box.checked = event.target.checked;
  });

  /* ---- Menus, dialog, toasts ----------------------------------------------- */

  function closeMenus(except) {
    for (const menu of $$("details[data-menu][open]")) {
      if (menu === except) continue;
      const hadFocus = menu.contains(document.activeElement);
      menu.open = false;
      if (hadFocus) $("summary", menu).focus();
    }
  }

  on("click", (event) => {
    const { target } = event;
    const open = target.closest("details[data-menu]");
    for (const menu of $$("details[data-menu][open]")) if (menu !== open) menu.open = false;
    if (target.matches("dialog")) target.close();
    target.closest("[data-dismiss]")?.closest(".toast").remove();
    const reveal = target.closest("[data-reveal]");
    if (reveal) showPassword(reveal);
    const copy = target.closest("[data-copy]");
    if (copy) copyText(copy);
  });

  /* ---- Fields --------------------------------------------------------------- */

  function showPassword(button) {
    const input = document.getElementById(button.dataset.reveal);
    const shown = input.type === "password";
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", shown);
  }

  async function copyText(button) {
    const input = document.getElementById(button.dataset.copy);
    input.select();
    try {
      await navigator.clipboard.writeText(input.value);
    } catch {
      document.execCommand("copy"); // the clipboard API needs HTTPS
    }
    $("span", button).textContent = button.dataset.done;
  }

  /* A summary of errors takes the focus, so that it is read first. */
  $("[data-focus]")?.focus();

  /* ---- Leaving and sending forms -------------------------------------------- */

  const changed = new Set($$("form[data-guard=changed]"));
  on("input", (event) => {
    const form = event.target.form;
    if (form?.matches("[data-guard]")) changed.add(form);
  });
  addEventListener("beforeunload", (event) => {
    if (changed.size) event.preventDefault();
  });

  /* One click, one send. The button is switched off after the form is read, so that its value is sent too.
     Where a file comes back the page stays, so it is switched on again when a double click is over. */
  on("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    changed.clear();
    $("[data-presence]")?.remove(); // it would say that a form is open which is being saved
    const buttons = $$("button:not([type=button])", form);
    const switchOff = (isOff) => { for (const button of buttons) button.disabled = isOff; };
    setTimeout(switchOff, 0, true);
    if (form.hasAttribute("data-download")) setTimeout(switchOff, 2000, false);
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) for (const button of $$("form button:disabled")) button.disabled = false;
  });

  /* ---- Ticked rows ------------------------------------------------------------ */

  const boxes = () => $$("input[form=many][name=id]");
  let lastTicked = null;

  function showTicked() {
    const bar = $("#many");
    if (!bar) return;
    const all = bar.elements.all.checked;
    const ticked = boxes().filter((box) => box.checked).length;
    bar.classList.toggle("open", all || ticked > 0);
    $("[data-ticked]", bar).textContent = ticked;
    const head = $("[data-tick-all]");
    if (!head) return;
    head.checked = ticked > 0 && ticked === boxes().length;
    head.indeterminate = ticked > 0 && !head.checked;
  }

  on("click", (event) => {
    const box = event.target;
    if (!box.matches("input[form=many][name=id]")) return;
    const row = boxes();
    const [from, to] = [row.indexOf(lastTicked), row.indexOf(box)].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) for (const one of row.slice(from, to + 1)) one.checked = box.checked;
    lastTicked = box;
  });
  on("change", (event) => {
    if (event.target.matches("[data-tick-all]")) for (const box of boxes()) box.checked = event.target.checked;
    if (event.target.matches("[data-tick-all], [form=many], #many [name=all]")) showTicked();
  });
  addEventListener("pageshow", showTicked);

  /* ---- The list: results without a reload (htmx) ----------------------------- */

  /* Filters that say nothing stay out of the address. */
  on("htmx:config:request", (event) => {
    const { form, body } = event.detail.ctx.request;
    if (form?.id !== "filters") return;
    for (const [name, value] of [...body]) {
      if (!value || form.elements[name]?.dataset?.default === value) body.delete(name);
    }
  });

  /* A date half typed is no date yet: 0002-03-15 on the way to 2024-03-15. */
  addEventListener("change", (event) => {
    if (event.target.type === "date" && !event.target.checkValidity()) event.stopPropagation();
  }, true);

  /* Only a list can replace the list, and only progress the progress. For anything else (signed out, sent
     elsewhere, through) the page is loaded; when the server cannot answer now, what is there stays and says so. */
  function listFailed(url) {
    const notice = $("#load-failed");
    if (!notice) return location.assign(url);
    $("a", notice).href = url;
    notice.hidden = false;
  }

  on("htmx:after:request", (event) => {
    const { sourceElement, request, response, text, target } = event.detail.ctx;
    if (sourceElement.matches("[data-presence]")) return renewPresence(event);
    if (text.includes(`id="${target.id}"`)) {
      $("#load-failed")?.setAttribute("hidden", "");
      return;
    }
    event.preventDefault();
    const isList = target.id === "results"; // or the progress of a bulk change, which is asked for again anyway
    const isOver = response.status !== 429 && response.status < 500;
    if (isOver && isList) location.assign(request.action);
    else if (isOver) location.reload();
    else if (isList) listFailed(request.action);
  });
  on("htmx:error", (event) => {
    const { ctx } = event.detail;
    if (ctx?.target?.id === "results") listFailed(ctx.request.action);
  });

  /* ---- Who else has the form open (htmx asks again and again) ---------------- */

  /* Only the line itself comes in. Who may not ask any more stops; whatever else fails is asked again. */
  function renewPresence(event) {
    const { sourceElement, response, text } = event.detail.ctx;
    if (response.status === 200 && text.includes("data-present")) return;
    event.preventDefault();
    if ([401, 403, 404].includes(response.status)) sourceElement.remove();
  }
})();
