// Gradio tells a page the answers to all its events in one stream, and gives the page up once that
// stream breaks, as when a laptop sleeps or a proxy has enough. So this stands between the two. A
// stream that breaks ends for Gradio as the server would have ended it: what was under way has
// failed, and the next event opens another stream. That one has another session's name, for the
// server may believe in the old one for minutes, and would give it half of the messages.

const JOIN = "/gradio_api/queue/join", LISTEN = "/gradio_api/queue/data";
const AWAY = "The server does not answer. Try again in a moment.";
const FRAME = "\n\n";

const ask = window.fetch.bind(window);
const waiting = new Set(); // ids of events that are still to be answered
let breaks = 0, breakOff = null;

const named = (session) => (breaks ? `${session}-${breaks}` : session);

// End the stream as if it had broken, because nothing comes any more.
export function renew() {
  breakOff?.();
}

window.fetch = (asked, options) => {
  const url = new URL(asked instanceof Request ? asked.url : asked, location.href);
  if (url.pathname === JOIN) return join(asked, options);
  return url.pathname === LISTEN ? listen(url, asked) : ask(asked, options);
};

async function join(url, options) {
  const event = JSON.parse(options.body);
  const body = JSON.stringify({ ...event, session_hash: named(event.session_hash) });
  const answer = await ask(url, { ...options, body }).catch(() => null);
  if (!answer) return Response.json({ detail: AWAY }, { status: 502 });
  if (answer.ok) waiting.add((await answer.clone().json()).event_id);
  return answer;
}

function listen(url, { headers, signal }) {
  url.searchParams.set("session_hash", named(url.searchParams.get("session_hash")));
  const cut = new AbortController();
  const body = new ReadableStream({
    start(controller) {
      const tell = (text) => controller.enqueue(new TextEncoder().encode(text + FRAME));
      const close = () => {
        if (cut.signal.aborted) return;
        cut.abort();
        controller.close();
      };
      const fail = () => {
        if (cut.signal.aborted) return;
        lastWords().forEach((message) => tell(`data: ${JSON.stringify(message)}`));
        close();
      };
      breakOff = fail;
      signal.addEventListener("abort", close); // Gradio was told that all is said
      read(url, { headers, signal: cut.signal }, tell).then(close, fail);
    },
    cancel() { cut.abort(); },
  });
  return Promise.resolve(new Response(body, { headers: { "Content-Type": "text/event-stream" } }));
}

function lastWords() {
  breaks += 1;
  const failed = [...waiting].map((id) => (
    { msg: "process_completed", event_id: id, success: false, output: {} }));
  waiting.clear();
  return [...failed, { msg: "close_stream" }];
}

// Pass on each whole message, until all is said; fails where the stream breaks before.
async function read(url, options, tell) {
  const answer = await ask(url, options);
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  const text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let kept = "";
  for (;;) {
    const { done, value } = await text.read();
    if (done) throw new Error("The stream has ended.");
    const frames = (kept + value).split(FRAME);
    kept = frames.pop();
    for (const frame of frames) {
      const message = JSON.parse(frame.replace(/^data: ?/, ""));
      if (message.msg === "unexpected_error") throw new Error(message.message); // the server ends
      if (message.msg === "process_completed") waiting.delete(message.event_id);
      tell(frame);
      if (message.msg === "close_stream") return;
    }
  }
}
