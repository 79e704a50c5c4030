// What the gallery does better with a script; every page works without. No library, no inline code (CSP).
"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const words = JSON.parse(document.getElementById("words")?.textContent || "{}");
  const live = document.getElementById("live");
  const say = text => { if (live) live.textContent = text; };
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // Selecting: a count, ranges with Shift, all of a page.
  const boxes = all('.card input[type="checkbox"]');
  const count = document.getElementById("count");
  const acts = all(".bar button[data-needs-selection]");
  const every = document.getElementById("all"); // all matches of a search, also those of other pages
  const update = () => {
    const number = boxes.filter(box => box.checked).length;
    if (count) count.textContent = (words.selected || "").replace("{number}", number);
    acts.forEach(button => { button.disabled = !number && !every?.checked; });
  };
  every?.addEventListener("change", update);
  let last = -1;
  boxes.forEach((box, index) => box.addEventListener("click", event => {
    if (event.shiftKey && last >= 0) {
      const [from, to] = [Math.min(last, index), Math.max(last, index)];
      boxes.slice(from, to + 1).forEach(other => { other.checked = box.checked; });
    }
    last = index;
    update();
  }));
  const selectAll = () => {
    const on = boxes.some(box => !box.checked);
    boxes.forEach(box => { box.checked = on; });
    update();
  };
  document.getElementById("select-all")?.addEventListener("click", selectAll);
  window.addEventListener("pageshow", update); // browsers bring boxes back as they were
  update();

  // Copying links.
  all("button[data-copy]").forEach(button => button.addEventListener("click", async () => {
    const field = button.parentElement.querySelector("input, textarea");
    try { await navigator.clipboard.writeText(field.value); } catch { field.select(); document.execCommand("copy"); }
    say(words.copied);
    button.textContent = words.copied;
    setTimeout(() => { button.textContent = words.copy; }, 2000);
  }));

  // How many objects lie in each folder: counted when the page is there, so that it need not wait.
  const counted = document.querySelector(".folders[data-counts]");
  if (counted) fetch(counted.dataset.counts, { headers: { Accept: "application/json" } })
    .then(answer => answer.ok ? answer.json() : {})
    .then(({ counts = {} }) => all("small", counted).forEach(place => {
      place.textContent = counts[place.dataset.folder] ?? "";
    }))
    .catch(() => { /* a page without counts is a page as well */ });

  // Keyboard.
  const help = document.getElementById("help");
  document.getElementById("open-help")?.addEventListener("click", () => help.showModal());
  const links = all(".card > a");
  const go = step => {
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    links[at < 0 ? 0 : Math.max(0, Math.min(links.length - 1, at + step))].focus();
  };
  document.addEventListener("keydown", event => {
    if (event.ctrlKey || event.metaKey || event.altKey || help?.open) return;
    if (event.target.matches('input:not([type="checkbox"]), select, textarea')) return;
    const box = event.target.closest(".card")?.querySelector("input");
    const keys = {
      "?": () => help?.showModal(),
      "/": () => document.querySelector('input[type="search"]')?.focus(),
      j: () => go(1), k: () => go(-1), ArrowRight: () => go(1), ArrowLeft: () => go(-1),
      x: () => box?.click(), a: selectAll,
      Delete: () => document.querySelector('.bar button[value="remove"]:not(:disabled)')?.focus(),
    };
    if (Object.hasOwn(keys, event.key)) { event.preventDefault(); keys[event.key](); }
  });

  // Uploading: a queue of one request each, with progress, cancel and another try.
  const form = document.querySelector(".upload form");
  if (!form) return;
  const queue = document.getElementById("queue");
  const waiting = [];
  let busy = 0, stored = 0;
  const line = file => {
    const item = document.createElement("li");
    const name = document.createElement("span");
    const bar = document.createElement("progress");
    const state = document.createElement("span");
    const button = document.createElement("button");
    name.textContent = file.name || "image";
    bar.max = 1; bar.value = 0;
    bar.setAttribute("aria-label", name.textContent);
    button.type = "button"; button.className = "plain";
    item.append(name, bar, state, button);
    queue.append(item);
    return { item, name, bar, state, button };
  };
  const enqueue = (file, row = line(file)) => {
    const job = { file, row, request: null };
    row.state.textContent = words.waiting;
    row.button.textContent = words.cancel;
    row.button.onclick = () => {
      const at = waiting.indexOf(job);
      if (at >= 0) { waiting.splice(at, 1); row.item.remove(); } else job.request?.abort();
    };
    waiting.push(job);
    next();
  };
  const finish = (job, ok, text, url) => {
    busy--;
    job.row.state.textContent = text;
    job.row.bar.value = ok ? 1 : 0;
    say(`${job.row.name.textContent}: ${text}`);
    if (ok) {
      stored++;
      const link = document.createElement("a");
      link.href = url; link.textContent = job.row.name.textContent;
      job.row.name.replaceChildren(link);
      job.row.button.remove();
    } else {
      job.row.button.textContent = words.retry;
      job.row.button.onclick = () => enqueue(job.file, job.row);
    }
    next();
  };
  const next = () => {
    while (busy < 3 && waiting.length) {
      const job = waiting.shift(), request = job.request = new XMLHttpRequest(), data = new FormData(form);
      busy++;
      data.delete("files");
      data.append("files", job.file, job.file.name || "image.png");
      job.row.state.textContent = words.sending;
      request.upload.onprogress = event => { if (event.lengthComputable) job.row.bar.value = event.loaded / event.total; };
      request.onload = () => {
        let answer = {};
        try { answer = JSON.parse(request.responseText); } catch { /* said below */ }
        const one = answer.results?.[0];
        if (one?.ok) finish(job, true, words.stored, one.page); else finish(job, false, one?.message || answer.message || words.failed);
      };
      request.onerror = request.onabort = () => finish(job, false, words.failed);
      request.open("POST", form.action);
      request.setRequestHeader("Accept", "application/json");
      request.send(data);
    }
  };
  form.addEventListener("submit", event => {
    event.preventDefault();
    const field = form.querySelector('input[type="file"]');
    [...field.files].forEach(file => enqueue(file));
    field.value = "";
  });
  document.addEventListener("paste", event => {
    const files = [...(event.clipboardData?.files || [])];
    if (files.length) { event.preventDefault(); files.forEach(file => enqueue(file)); }
  });
  let depth = 0;
  const carries = event => [...(event.dataTransfer?.types || [])].includes("Files");
  document.addEventListener("dragenter", event => { if (carries(event)) { depth++; root.classList.add("dropping"); } });
  document.addEventListener("dragleave", event => { if (carries(event) && --depth <= 0) root.classList.remove("dropping"); });
  document.addEventListener("dragover", event => { if (carries(event)) event.preventDefault(); });
  document.addEventListener("drop", event => {
    depth = 0;
    root.classList.remove("dropping");
    if (!carries(event)) return;
    event.preventDefault();
    [...event.dataTransfer.files].forEach(file => enqueue(file));
  });
  window.addEventListener("beforeunload", event => { if (busy || waiting.length) event.preventDefault(); });
})();
