// Keys press what carries them: <button data-key="a">. They rest while somebody types, and with Ctrl, Alt or Meta.
"use strict";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.isComposing) return;
  const at = event.target;
  if (at.isContentEditable || at.matches("textarea, select, input:not([type=radio], [type=checkbox])")) {
    if (event.key === "Escape") at.blur();
    return;
  }
  if (event.key.length !== 1) return;
  const found = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!found) return;
  event.preventDefault();
  found.click();
  if (found.matches("input")) found.focus();
});
