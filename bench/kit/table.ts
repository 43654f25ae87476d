/** What is compared, in the order of the columns. */
export type Column = string

/** One line of the table. */
export interface Row {
  /** What was done: `single commits, folder`. */
  readonly work: string
  /** What was measured: `lag p50`. */
  readonly figure: string
  readonly unit: 'ms' | 's' | 'MB' | '%' | '×' | ''
  /** Samples of each program, or why there are none. */
  readonly samples: Readonly<Record<Column, readonly number[] | string>>
  /** Share of the samples below the figure; 0.5 is the median. Default 0.5. */
  readonly quantile?: number | undefined
  /** The best possible: what it is, and its samples. */
  readonly limit?: { readonly what: string; readonly samples: readonly number[] } | undefined
  /** What walsync should reach. */
  readonly target?: number | undefined
  /** Default `less`. */
  readonly better?: 'less' | 'more' | undefined
}

/** What a line comes to. */
export interface Figures {
  readonly values: Readonly<Record<Column, number | undefined>>
  readonly limit: number | undefined
  /** walsync divided by Litestream, and by the limit. */
  readonly toLitestream: number | undefined
  readonly toLimit: number | undefined
  readonly reached: boolean | undefined
}

/** The figures of a row: one number for each program, its ratios, and whether the target is reached. */
export function figuresOf(row: Row): Figures {
  const share = row.quantile ?? 0.5
  const values = Object.fromEntries(
    Object.entries(row.samples).map(([column, samples]) => [
      column,
      typeof samples === 'string' ? undefined : quantile(samples, share),
    ]),
  )
  const limit = row.limit === undefined ? undefined : quantile(row.limit.samples, share)
  const { walsync, litestream } = values
  return {
    values,
    limit,
    toLitestream: ratio(walsync, litestream),
    toLimit: ratio(walsync, limit),
    reached: isReached(row, walsync),
  }
}

/** The sample below which a share of all lies; of an even number the median is the mean of two. */
export function quantile(samples: readonly number[], share: number): number | undefined {
  if (samples.length === 0) return undefined
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * share
  if (share !== 0.5) return sorted[Math.floor(at)]
  return ((sorted[Math.floor(at)] as number) + (sorted[Math.ceil(at)] as number)) / 2
}

/** A Markdown table of all rows, padded so that it can be read as it is. */
export function tableOf(rows: readonly Row[], columns: readonly Column[]): string {
  const others = columns.filter((column) => column !== 'walsync')
  const head = ['work', 'figure', 'walsync', ...others, 'limit']
  if (columns.includes('litestream')) head.push('to Litestream')
  const lines = rows.map((row) => cellsOf(row, others, columns.includes('litestream')))
  const all = [[...head, 'to limit', 'target', 'reached'], ...lines]
  const widths = all[0]!.map((_, i) => Math.max(...all.map((cells) => cells[i]!.length)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [line(all[0]!), rule, ...all.slice(1).map(line)].join('\n')
}

function cellsOf(row: Row, others: readonly Column[], compared: boolean): string[] {
  const { values, limit, toLitestream, toLimit, reached } = figuresOf(row)
  const value = (column: Column) => {
    const samples = row.samples[column]
    return typeof samples === 'string' ? samples : withUnit(values[column], row.unit)
  }
  const limitText = limit === undefined ? '–' : `${withUnit(limit, row.unit)} (${row.limit?.what})`
  return [
    row.work,
    row.figure,
    value('walsync'),
    ...others.map(value),
    limitText,
    ...(compared ? [withUnit(toLitestream, '')] : []),
    withUnit(toLimit, ''),
    row.target === undefined
      ? '–'
      : `${row.better === 'more' ? '≥' : '≤'} ${withUnit(row.target, row.unit)}`,
    reached === undefined ? '–' : reached ? 'yes' : '**no**',
  ]
}

function isReached({ target, better }: Row, value: number | undefined): boolean | undefined {
  if (target === undefined || value === undefined) return undefined
  return better === 'more' ? value >= target : value <= target
}

function ratio(value: number | undefined, other: number | undefined): number | undefined {
  return value === undefined || other === undefined || other === 0 ? undefined : value / other
}

function withUnit(value: number | undefined, unit: string): string {
  if (value === undefined) return '–'
  return unit === '' || unit === '×' ? rounded(value) : `${rounded(value)} ${unit}`
}

/** Three digits; whole numbers above that. */
function rounded(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}
