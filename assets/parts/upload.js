// Private images on their way to the server: what was dropped is walked, files go in batches, a zip
// in pieces. A request that the network loses is repeated; the server takes nothing twice.
const BATCH_FILES = 256;
const BATCH_BYTES = 8 * 2 ** 20;
const REPEATS = 3;
const FIRST_WAIT_MS = 400;

export const count = (n) => n.toLocaleString("en");
const megabytes = (n) => (n < 1e5 ? `${Math.ceil(n / 1e3)} kB` : `${(n / 1e6).toFixed(n < 1e8 ? 1 : 0)} MB`);

// The connection broke, or the server was too busy: the same request may succeed later.
export class Broken extends Error {}

async function call(path, method, body, signal) {
  const answer = await fetch(path, { method, body, signal }).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Broken("The connection to the server broke.");
  });
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const sentence = told.detail || `The server answered ${answer.status}.`;
  throw [408, 429, 502, 503, 504].includes(answer.status) ? new Broken(sentence) : new Error(sentence);
}

export const forget = (token) => call(`/uploads/${token}`, "DELETE");

// All files below a dropped entry -> [{path, file}]
export async function walk(entry, found, tell) {
  if (entry.isFile) {
    const file = await new Promise((done, fail) => entry.file(done, fail));
    found.push({ path: entry.fullPath.replace(/^\//, ""), file });
  } else {
    const reader = entry.createReader();
    for (;;) { // readEntries gives at most 100 at a time
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) break;
      for (const child of some) await walk(child, found, tell);
    }
  }
  if (found.length % 200 === 0) tell(`Looking through the folder: ${count(found.length)} files`);
}

const hidden = (path) => path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");
const isZip = ({ path }) => path.toLowerCase().endsWith(".zip");

// What of the files found is to be sent: {name, zip} or {name, files}; an Error says what is wrong.
export function sorted(found) {
  const files = found.filter(({ path }) => !hidden(path));
  if (!files.length) throw new Error("There are no files in it. Drop a folder with images.");
  if (files.some(isZip) && files.length > 1)
    throw new Error("Drop one zip, or images and folders, not both.");
  if (isZip(files[0])) return { name: files[0].file.name.replace(/\.zip$/i, ""), zip: files[0].file };
  // One dropped folder is the data set itself: its own name is no class.
  const first = files[0].path.split("/")[0];
  if (!files.every(({ path }) => path.startsWith(`${first}/`))) return { name: "my images", files };
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

function inBatches(files) {
  const batches = [];
  let batch = [], size = Infinity;
  for (const item of files) {
    if (batch.length >= BATCH_FILES || size + item.file.size > BATCH_BYTES) {
      batches.push((batch = []));
      size = 0;
    }
    batch.push(item);
    size += item.file.size;
  }
  return batches;
}

async function framed(batch) {
  const buffers = await Promise.all(batch.map(({ file }) => file.arrayBuffer())).catch(() => {
    throw new Error("A file could not be read from your disk. Check it and drop the images again.");
  });
  return frame(batch, buffers);
}

// The requests that carry what is chosen, each with the files and bytes that are there after it.
function requests({ files, zip }) {
  if (zip) {
    const starts = [...Array(Math.ceil(zip.size / BATCH_BYTES) || 1).keys()].map((i) => i * BATCH_BYTES);
    return starts.map((at) => ({
      path: `zip?offset=${at}`,
      body: async () => zip.slice(at, at + BATCH_BYTES),
      files: 1,
      bytes: Math.min(at + BATCH_BYTES, zip.size),
    }));
  }
  let sent = 0, bytes = 0;
  return inBatches(files).map((batch, i) => ({
    path: `files?batch=${i}`,
    body: () => framed(batch),
    files: (sent += batch.length),
    bytes: (bytes += batch.reduce((sum, { file }) => sum + file.size, 0)),
  }));
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

function duration(seconds) {
  const whole = Math.max(Math.round(seconds), 1);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

// One upload. `send` goes on from where it was, however often it is called.
//   tell(text, fraction): how far it has come
export class Upload {
  constructor(chosen, tell) {
    this.name = chosen.name;
    this.token = "";
    this.requests = requests(chosen);
    this.tell = tell;
    this.single = Boolean(chosen.zip);
    this.done = 0; // requests
    this.abort = new AbortController();
  }

  async send() {
    const begun = performance.now(), before = this.bytes;
    if (!this.token) this.token = (await this.patiently("", async () => undefined)).token;
    while (this.done < this.requests.length) {
      const { path, body } = this.requests[this.done];
      await this.patiently(`/${this.token}/${path}`, body);
      this.done += 1;
      const rate = (this.bytes - before) / (performance.now() - begun);
      this.report((this.total - this.bytes) / rate / 1000);
    }
    await this.patiently(`/${this.token}/finish`, async () => undefined);
  }

  get bytes() { return this.requests[this.done - 1]?.bytes ?? 0; }

  get total() { return this.requests.at(-1).bytes; }

  report(secondsLeft) {
    const last = this.requests.at(-1);
    const parts = this.single ? [] : [`${count(this.requests[this.done - 1].files)} of ${count(last.files)} files`];
    parts.push(`${megabytes(this.bytes)} of ${megabytes(last.bytes)}`);
    if (this.bytes < last.bytes) parts.push(`${duration(secondsLeft)} left`);
    this.tell(parts.join(" · "), this.bytes / (last.bytes || 1));
  }

  // The server's answer, asked for again a few times where the network fails.
  async patiently(path, body) {
    const content = await body();
    for (let wait = FIRST_WAIT_MS, i = 0; ; wait *= 2, i++) {
      try {
        return await call(`/uploads${path}`, "POST", content, this.abort.signal);
      } catch (error) {
        if (!(error instanceof Broken) || i >= REPEATS) throw error;
      }
      await pause(wait);
    }
  }

  cancel() {
    this.abort.abort();
    if (this.token) forget(this.token).catch(() => {}); // it is deleted after a day at the latest
  }
}
