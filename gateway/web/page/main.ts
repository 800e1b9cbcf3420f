// The reference page needs this only for copying and searching.

function addCopyButtons() {
  for (const block of document.querySelectorAll<HTMLPreElement>("pre.copy")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.className = "copy-button";
    const what = block.closest("article")?.querySelector("h3")?.textContent?.trim();
    button.setAttribute("aria-label", what ? `Copy for ${what}` : "Copy");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(block.innerText);
        button.textContent = "Copied";
      } catch {
        // Without the permission, or over plain HTTP from elsewhere: the text is marked, to be copied by hand.
        getSelection()?.selectAllChildren(block);
        button.textContent = "Marked";
      }
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    block.before(button);
  }
}

function addSearch() {
  const box = document.querySelector<HTMLElement>(".search");
  const input = document.querySelector<HTMLInputElement>("#search");
  const found = document.querySelector<HTMLElement>("#found");
  if (!box || !input || !found) return;
  box.hidden = false;
  const entries = [...document.querySelectorAll<HTMLElement>("main .entry")].map((element) => ({
    element,
    text: (element.textContent ?? "").toLowerCase(),
    link: document.querySelector<HTMLElement>(`.contents a[href="#${element.id}"]`)?.parentElement,
  }));
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { element, text, link } of entries) {
      const fits = words.every((word) => text.includes(word));
      element.hidden = !fits;
      if (link) link.hidden = !fits;
      if (fits) count += 1;
    }
    document.body.classList.toggle("searching", words.length > 0);
    found.textContent = words.length === 0 ? "" : `${count} of ${entries.length}`;
  });
}

addCopyButtons();
addSearch();
