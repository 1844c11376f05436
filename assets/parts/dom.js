// Small helpers that all parts of the page use.

export function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

export function set(node, text) { // only what differs, so that a screen reader is not told twice
  if (node.textContent !== text) node.textContent = text;
}

export function fill(bar, share) {
  bar.querySelector("i").style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
}

// The JSON at a URL; null where there is none or the server does not answer.
export async function getJson(url, options = {}) {
  const answer = await fetch(url, options).catch(() => null);
  return answer?.ok ? answer.json() : null;
}

// The JSON answer to a request that changes something; an Error with the server's sentence else.
export async function send(method, url, body) {
  const json = body !== undefined && { "Content-Type": "application/json" };
  const answer = await fetch(url, {
    method,
    headers: json || {},
    body: json ? JSON.stringify(body) : undefined,
  }).catch(() => {
    throw new Error("The server does not answer. Try again in a moment.");
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail || `The server answered ${answer.status}.`);
  return told;
}

export function openDialog(dialog) {
  if (!dialog.open) dialog.showModal();
}

export const isDark = () => document.body.classList.contains("dark");
