// The drop zone: walks what was dropped, keeps folder names, and sends files in batches to our own
// upload route. Runs as the js_on_load of a gr.HTML; its value is what the handlers read:
// {kind: "upload" | "example" | "", token, name, note}.
const BATCH_FILES = 256;
const BATCH_BYTES = 8 * 2 ** 20;
const zone = element.querySelector(".drop");
const find = (selector) => element.querySelector(selector);
let current = null; // the upload that is under way: {token, abort}

const count = (n) => n.toLocaleString("en");

function show(state, text = "", fraction = 0) {
  zone.dataset.state = state;
  const lead = zone.querySelector(`.drop-${state} .drop-lead`);
  if (text) lead.textContent = text;
  if (state === "busy") {
    const percent = Math.round(100 * fraction);
    find(".bar i").style.width = `${percent}%`;
    find(".bar").setAttribute("aria-valuenow", percent);
  }
}

function complain(sentence, isNote = false) {
  find(".drop-problem").textContent = sentence;
  find(".drop-problem").classList.toggle("is-note", isNote);
}

function setValue(value) {
  props.value = value;
  trigger("source_changed");
}

async function call(path, method, body, signal) {
  let answer;
  try {
    answer = await fetch(path, { method, body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The connection to the server broke. Drop the images again.");
  }
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(json.detail || `The server answered ${answer.status}.`);
  return json;
}

// What was dropped or chosen -> [{path, file}]
async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail));
    found.push({ path: entry.fullPath.replace(/^\//, ""), file });
  } else {
    const reader = entry.createReader();
    for (;;) { // readEntries gives at most 100 at a time
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) break;
      for (const child of some) await walk(child, found);
    }
  }
  if (found.length % 200 === 0) show("busy", `Looking through the folder: ${count(found.length)} files`);
}

const hidden = (path) => path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");

// One dropped folder is the data set itself: its own name is no class.
function withoutCommonFolder(files) {
  const first = files[0].path.split("/")[0];
  const common = files.every(({ path }) => path.startsWith(`${first}/`));
  if (!common) return { name: "", files };
  const cut = first.length + 1;
  return { name: first, files: files.map(({ path, file }) => ({ path: path.slice(cut), file })) };
}

function frame(batch, buffers) {
  const names = batch.map(({ path }) => new TextEncoder().encode(path));
  const size = names.reduce((sum, name, i) => sum + 6 + name.length + buffers[i].byteLength, 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  names.forEach((name, i) => {
    view.setUint16(at, name.length, true);
    view.setUint32(at + 2, buffers[i].byteLength, true);
    bytes.set(name, at + 6);
    bytes.set(new Uint8Array(buffers[i]), at + 6 + name.length);
    at += 6 + name.length + buffers[i].byteLength;
  });
  return bytes;
}

function* batches(files) {
  let batch = [], size = 0;
  for (const item of files) {
    if (batch.length && (batch.length >= BATCH_FILES || size + item.file.size > BATCH_BYTES)) {
      yield batch;
      batch = [];
      size = 0;
    }
    batch.push(item);
    size += item.file.size;
  }
  if (batch.length) yield batch;
}

async function sendFiles(token, files, signal) {
  let sent = 0;
  for (const batch of batches(files)) {
    const buffers = await Promise.all(batch.map(({ file }) => file.arrayBuffer())).catch(() => {
      throw new Error("A file could not be read from your disk. Check it and drop the images again.");
    });
    await call(`/uploads/${token}/files`, "POST", frame(batch, buffers), signal);
    sent += batch.length;
    show("busy", `${count(sent)} of ${count(files.length)} files`, sent / files.length);
  }
}

async function sendZip(token, file, signal) {
  const megabytes = (n) => (n / 1e6).toFixed(1);
  for (let at = 0; at < file.size; at += BATCH_BYTES) {
    const piece = file.slice(at, at + BATCH_BYTES);
    await call(`/uploads/${token}/zip?offset=${at}`, "POST", piece, signal);
    const sent = Math.min(at + BATCH_BYTES, file.size);
    show("busy", `${megabytes(sent)} of ${megabytes(file.size)} MB`, sent / file.size);
  }
}

async function upload(found) {
  complain("");
  const visible = found.filter(({ path }) => !hidden(path));
  if (!visible.length) return show("idle"), complain("There are no files in it. Drop a folder with images.");
  const isZip = ({ path }) => path.toLowerCase().endsWith(".zip");
  if (visible.some(isZip) && visible.length > 1)
    return show("idle"), complain("Drop one zip, or images and folders, not both.");
  const abort = new AbortController();
  const mine = (current = { token: "", abort });
  try {
    mine.token = (await call("/uploads", "POST", undefined, abort.signal)).token;
    let name;
    if (isZip(visible[0])) {
      name = visible[0].file.name.replace(/\.zip$/i, "");
      await sendZip(mine.token, visible[0].file, abort.signal);
    } else {
      const stripped = withoutCommonFolder(visible);
      name = stripped.name || "my images";
      await sendFiles(mine.token, stripped.files, abort.signal);
    }
    await call(`/uploads/${mine.token}/finish`, "POST", undefined, abort.signal);
    current = null;
    setValue({ kind: "upload", token: mine.token, name });
    show("ready", name);
  } catch (error) {
    if (mine.token) call(`/uploads/${mine.token}`, "DELETE").catch(() => {});
    current = null;
    show("idle");
    complain(error.name === "AbortError" ? "" : error.message);
  }
}

function remove() {
  const { kind, token } = props.value || {};
  if (kind === "upload") call(`/uploads/${token}`, "DELETE").catch((error) => complain(error.message));
  setValue({ kind: "" });
  show("idle");
}

function fromInput(input) {
  const found = [...input.files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
  input.value = "";
  if (found.length) {
    show("busy", "Starting");
    upload(found);
  }
}

async function fromDrop(event) {
  event.preventDefault();
  zone.classList.remove("over");
  if (zone.dataset.state !== "idle") return;
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  if (!entries.length) return;
  complain("");
  show("busy", "Looking through the folder");
  const found = [];
  try {
    for (const entry of entries) await walk(entry, found);
  } catch {
    return show("idle"), complain("The folder could not be read. Check its permissions and drop it again.");
  }
  upload(found);
}

function tryExample() {
  complain("");
  setValue({ kind: "example", name: "handwriting" });
  show("ready", "The handwriting example");
}

zone.addEventListener("dragover", (event) => (event.preventDefault(), zone.classList.add("over")));
zone.addEventListener("dragleave", () => zone.classList.remove("over"));
zone.addEventListener("drop", fromDrop);
find(".choose-folder").addEventListener("click", () => find(".folder-input").click());
find(".choose-files").addEventListener("click", () => find(".files-input").click());
find(".folder-input").addEventListener("change", (event) => fromInput(event.target));
find(".files-input").addEventListener("change", (event) => fromInput(event.target));
find(".drop-cancel").addEventListener("click", () => current?.abort.abort());
find(".drop-remove").addEventListener("click", remove);
find(".try-example").addEventListener("click", tryExample);
// A file dropped beside the zone must not replace the page.
for (const kind of ["dragover", "drop"]) window.addEventListener(kind, (event) => event.preventDefault());

watch("value", () => { // set by a handler, e.g. after a run has taken the images
  const value = props.value || {};
  if (!value.kind) show("idle");
  complain(value.note || "", true);
});
