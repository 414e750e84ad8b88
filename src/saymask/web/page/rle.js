// Masks as COCO's run lengths: down the columns, background first. A grid is a Uint8Array of 0 and 1, row after row.

// The compressed text: each number in groups of 5 bits, lowest first, from the third on as the difference to the last but one.
export function readCounts(text) {
  const counts = [];
  for (let place = 0; place < text.length;) {
    let value = 0, shift = 0, group;
    do {
      group = text.charCodeAt(place++) - 48;
      value |= (group & 31) << shift;
      shift += 5;
    } while (group & 32);
    if (group & 16 && shift < 32) value |= -1 << shift;
    if (counts.length > 2) value += counts[counts.length - 2];
    counts.push(value);
  }
  return counts;
}

// Calls visit(column, top, end) for each run of foreground within one column; `end` is the row after its last.
export function eachRun(counts, height, visit) {
  let place = 0;
  counts.forEach((count, number) => {
    const stop = place + count;
    while (number % 2 && place < stop) {
      const column = Math.floor(place / height), top = place % height, end = Math.min(height, top + stop - place);
      visit(column, top, end);
      place += end - top;
    }
    place = stop;
  });
}

export function gridOf(counts, height, width) {
  const grid = new Uint8Array(height * width);
  if (counts) {
    eachRun(counts, height, (column, top, end) => {
      for (let row = top; row < end; row++) grid[row * width + column] = 1;
    });
  }
  return grid;
}

export function countsOf(grid, height, width) {
  const counts = [];
  let value = 0, count = 0;
  for (let column = 0; column < width; column++) {
    for (let row = 0; row < height; row++) {
      if (grid[row * width + column] !== value) {
        counts.push(count);
        value = 1 - value;
        count = 0;
      }
      count++;
    }
  }
  counts.push(count);
  return counts;
}
