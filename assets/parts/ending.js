// Deleting a run, which is asked for twice.
import { openDialog } from "/parts/dom.js";

export function mount(stage) {
  const { find, trigger } = stage;
  const dialog = find(".confirm");
  find(".delete-run").addEventListener("click", () => openDialog(dialog));
  find(".keep").addEventListener("click", () => dialog.close());
  find(".really-delete").addEventListener("click", () => {
    dialog.close();
    trigger("delete_run", { run_id: stage.view.run_id });
    stage.leave();
  });
  return { reset() { dialog.close(); } };
}
