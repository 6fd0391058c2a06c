// The tiles of `curate.py`: a button says which image and what was chosen; the server answers with new tiles.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-choice]");
  if (button) trigger("select", { image: button.dataset.image, choice: button.dataset.choice });
});
