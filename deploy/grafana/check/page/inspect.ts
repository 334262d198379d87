// Looks for what a person would complain about in a drawn panel.

// cutOff finds texts that do not fit into their box, and charts and values that are not there.
export function cutOff(panel: Element): string[] {
  const problems: string[] = [];
  const texts = document.createTreeWalker(panel, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    if (text.textContent!.trim() && reachesOut(text, panel)) problems.push(`"${text.textContent!.trim()}" is cut off`);
  }
  // A table may be longer than its panel, but not empty; a text may not.
  const grid = panel.querySelector('[role="grid"]');
  if (grid && grid.querySelectorAll('[role="row"]').length < 2) problems.push('the table has no rows');
  const scroll = [...panel.querySelectorAll<HTMLElement>('*')].find(
    e => e !== grid && getComputedStyle(e).overflowY === 'auto' && e.scrollHeight > e.clientHeight + 1,
  );
  if (scroll) problems.push(`must be scrolled: ${scroll.scrollHeight} px of content in ${scroll.clientHeight}`);
  if (panel.querySelector('[data-broken]')) problems.push('the chart has no lines: its axis has no range');
  const outside = panel.getBoundingClientRect();
  for (const canvas of panel.querySelectorAll('canvas')) {
    if (canvas.getBoundingClientRect().bottom > outside.bottom + 1) problems.push('the chart is higher than the panel');
    if (isBlank(canvas)) problems.push('the chart is blank');
  }
  if (panel.querySelector('[data-empty]') || /no data/i.test(panel.textContent ?? '')) problems.push('shows no data');
  return problems;
}

// reachesOut says whether a text is wider than a box around it that hides what does not fit.
function reachesOut(text: Node, panel: Element): boolean {
  const range = document.createRange();
  range.selectNodeContents(text);
  const {left, right} = range.getBoundingClientRect();
  for (let box = text.parentElement!; panel.contains(box); box = box.parentElement!) {
    const {overflowX, display} = getComputedStyle(box);
    if (overflowX === 'visible' || display === 'inline') continue;
    const limits = box.getBoundingClientRect();
    if (left < limits.left - 1 || right > limits.right + 1) return true;
  }
  return false;
}

function isBlank(canvas: HTMLCanvasElement): boolean {
  const {data} = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
  return data.every(v => v === 0);
}
