// Deleting a run, and finishing it early: both cannot be taken back, so they are asked for twice.
import { openDialog, send, set } from "/parts/dom.js";

export function mount(stage) {
  const { find, trigger } = stage;
  const deleting = find(".confirm:not(.confirm-finish)"), finishing = find(".confirm-finish");

  async function finish() {
    try {
      await send("POST", `/runs/${stage.view.run_id}/finish`);
      finishing.close();
    } catch (error) {
      set(find(".finish-error"), error.message);
    }
  }

  find(".delete-run").addEventListener("click", () => {
    set(find(".delete-question"), `Delete the run “${stage.view.name || stage.view.dataset}”?`);
    openDialog(deleting);
  });
  find(".keep").addEventListener("click", () => deleting.close());
  find(".really-delete").addEventListener("click", () => {
    deleting.close();
    trigger("delete_run", { run_id: stage.view.run_id });
    stage.leave();
  });
  find(".finish-run").addEventListener("click", () => {
    set(find(".finish-error"), "");
    openDialog(finishing);
  });
  find(".keep-going").addEventListener("click", () => finishing.close());
  find(".really-finish").addEventListener("click", finish);

  return {
    show(view) { if (!view.can_finish) finishing.close(); },
    reset() {
      deleting.close();
      finishing.close();
    },
  };
}
