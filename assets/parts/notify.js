// Tells a visitor who looks at something else that the run has ended.

export function mount() {
  let before = null;

  function tell(view) {
    if (!document.hidden || window.Notification?.permission !== "granted") return;
    try {
      new Notification("Private Evolution Studio", { body: view.line, tag: view.run_id, silent: true });
    } catch { /* phones have the class but let no page make one */ }
  }

  document.addEventListener("click", (event) => { // ask only once a run is wanted, and go on at once
    if (event.target.closest("#run-button") && window.Notification?.permission === "default")
      Notification.requestPermission();
  });

  return {
    show(view) {
      if (before && before !== view.status && ["done", "failed"].includes(view.status)) tell(view);
      before = view.status;
    },
    reset() { before = null; },
  };
}
