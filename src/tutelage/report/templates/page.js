// Without this script all tabs are seen, one below the other.
let tabCount = 0;
for (const group of document.querySelectorAll(".tabs")) {
  const list = document.createElement("div");
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", group.dataset.label);
  const panels = [...group.children];
  const tabs = panels.map((panel) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `tab-${++tabCount}`;
    tab.textContent = panel.querySelector("h3").textContent;
    tab.setAttribute("role", "tab");
    panel.id = `panel-${tabCount}`;
    tab.setAttribute("aria-controls", panel.id);
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    list.append(tab);
    return tab;
  });
  const select = (chosen) => {
    tabs.forEach((tab, number) => {
      tab.setAttribute("aria-selected", number === chosen);
      tab.tabIndex = number === chosen ? 0 : -1;
      panels[number].classList.toggle("unseen", number !== chosen);
    });
  };
  list.addEventListener("click", (event) => {
    const number = tabs.indexOf(event.target);
    if (number >= 0) select(number);
  });
  list.addEventListener("keydown", (event) => {
    const now = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const number = (to + tabs.length) % tabs.length;
    select(number);
    tabs[number].focus();
  });
  group.classList.add("ready");
  group.prepend(list);
  select(0);
}
for (const region of document.querySelectorAll(".scroll[tabindex], pre")) {
  // Only what can be scrolled needs a stop on the way of the keyboard.
  new ResizeObserver(() => {
    const scrolls = region.scrollWidth > region.clientWidth || region.scrollHeight > region.clientHeight;
    region.tabIndex = scrolls ? 0 : -1;
  }).observe(region);
}
