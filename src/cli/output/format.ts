/** `1.5 MB`; powers of 1,000, as the size flags take them. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  const units = ['kB', 'MB', 'GB', 'TB', 'PB']
  let value = bytes
  let unit = ''
  for (const next of units) {
    if (value < 999.95) break
    value /= 1000
    unit = next
  }
  return `${value.toFixed(1)} ${unit}`
}

/** `1 file`, `2 files`. */
export function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

/** A word as a shell takes it: in quotes where it needs them. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/** C0, DEL and C1, the two line ends of Unicode, and what turns the direction of writing. */
const CONTROL = /[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/**
 * Text of others (names in a store, messages of a server) for a terminal: control characters as `\n`
 * and `\u001b`, so that none can move the cursor, begin a line or show a name the wrong way round.
 */
export function printable(text: string): string {
  return text.replaceAll(CONTROL, (character) => (character === '\n' ? '\\n' : escaped(character)))
}

/** The same for a line of JSON, which means what it meant before. */
export function printableJson(json: string): string {
  return json.replaceAll(CONTROL, (character) =>
    character === '\n' ? character : escaped(character),
  )
}

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) as number).toString(16).padStart(4, '0')}`
}

/** The same for a text of several lines. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/**
 * A table in plain columns; the first row is the heading. Numbers are aligned to the right. Where
 * the terminal is narrower than the table, each row becomes a block of lines instead.
 *
 * @param columns of the terminal; undefined: there is none, and a table may be as wide as it is
 */
export function formatTable(
  table: readonly (readonly string[])[],
  columns: number | undefined = process.stdout.isTTY ? process.stdout.columns : undefined,
): string {
  const rows = table.map((row) => row.map(printable))
  const text = inColumns(rows)
  const width = Math.max(...text.split('\n').map((line) => line.length))
  return columns === undefined || width <= columns ? text : inBlocks(rows)
}

/** `app`, and below it one line for each cell that is not empty. */
function inBlocks([heading = [], ...rows]: readonly string[][]): string {
  const width = Math.max(...heading.slice(1).map((name) => name.length))
  return rows
    .map(([first = '', ...cells]) => {
      const lines = cells.flatMap((cell, i) =>
        cell === '' ? [] : [`  ${(heading[i + 1] ?? '').padEnd(width)}  ${cell}`],
      )
      return [first, ...lines].join('\n')
    })
    .join('\n')
}

function inColumns(rows: readonly string[][]): string {
  const [heading = []] = rows
  const widths = heading.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  const right = heading.map((_, i) => {
    const cells = rows.slice(1).flatMap((row) => row[i] || [])
    return cells.length > 0 && cells.every((cell) => /^\d[\d.]*( \w+)?$/.test(cell))
  })
  return rows
    .map((row) => {
      const cells = row.map((cell, i) => {
        const width = widths[i] ?? 0
        return right[i] === true ? cell.padStart(width) : cell.padEnd(width)
      })
      return cells.join('  ').trimEnd()
    })
    .join('\n')
}

/** `a, b and 990 more`: of many words only the first are shown. */
export function formatList(words: readonly string[], most = 10): string {
  const shown = words.slice(0, most).join(', ')
  return words.length > most ? `${shown} and ${words.length - most} more` : shown
}
