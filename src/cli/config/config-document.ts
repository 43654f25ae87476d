import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLError,
  type YAMLMap,
} from 'yaml'
import type { ConfigPath, ConfigProblem } from './config-problem.ts'

type Position = Pick<ConfigProblem, 'line' | 'column'>

/**
 * A parsed file that still knows where each of its values stands. YAML 1.2 with `<<`, of which JSON
 * is a part. Duplicate keys, unknown tags, aliases of nothing and a second document are problems.
 */
export class ConfigDocument {
  readonly problems: readonly ConfigProblem[]
  readonly #lines = new LineCounter()
  readonly #document: Document.Parsed

  constructor(text: string) {
    const options = { lineCounter: this.#lines, merge: true, prettyErrors: false }
    this.#document = parseDocument(text, options)
    const { errors, warnings, contents } = this.#document
    this.problems = [
      ...[...errors, ...warnings].map((error) => this.#syntaxProblem(error, text)),
      ...this.#badNodes(contents, []),
    ]
  }

  /** Replaces every text that is a value; keys stay. An anchor's is replaced once, at its own place. */
  mapTexts(replace: (text: string, path: ConfigPath) => string): void {
    for (const [node, path] of scalars(this.#document.contents, [])) {
      if (typeof node.value === 'string') node.value = replace(node.value, path)
    }
  }

  /**
   * Plain values; only of a file without problems.
   *
   * @throws ReferenceError for aliases of aliases that would fill the memory
   */
  toJS(): unknown {
    return this.#document.toJS()
  }

  /** Of the value at a path, or of the nearest thing around it that is written in the file. */
  positionOf(path: ConfigPath): Position {
    return this.#at(this.#find(path).node)
  }

  /** Of the key that a path ends with. */
  positionOfKey(path: ConfigPath): Position {
    const { node, key } = this.#find(path)
    return this.#at(key ?? node)
  }

  #at(node: Node | null | undefined): Position {
    return this.#position(node?.range?.[0] ?? 0)
  }

  #position(offset: number): Position {
    const { line, col } = this.#lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }

  #find(path: ConfigPath): { readonly node: Node | null; readonly key: Node | undefined } {
    let node: Node | null = this.#document.contents
    let key: Node | undefined
    for (const part of path) {
      const inside = this.#resolve(node)
      if (isMap(inside)) {
        const pair = this.#pairOf(inside, String(part))
        if (pair === undefined) break
        key = pair.key as Node
        node = (pair.value as Node | null) ?? key
      } else {
        const item = isSeq(inside) ? inside.items[Number(part)] : undefined
        if (item === undefined) break
        key = undefined
        node = item as Node
      }
    }
    return { node, key }
  }

  #resolve(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.#document) : node
  }

  /** Also in the maps that `<<` merges in. */
  #pairOf(map: YAMLMap, name: string): Pair | undefined {
    const own = map.items.find(({ key }) => isScalar(key) && String(key.value) === name)
    if (own !== undefined) return own
    for (const { key, value } of map.items) {
      if (!isScalar(key) || String(key.value) !== '<<') continue
      const merged = this.#resolve(value)
      for (const source of isSeq(merged) ? merged.items : [merged]) {
        const inside = this.#resolve(source)
        const found = isMap(inside) ? this.#pairOf(inside, name) : undefined
        if (found !== undefined) return found
      }
    }
    return undefined
  }

  #syntaxProblem({ code, message, pos }: YAMLError, text: string): ConfigProblem {
    const hint = hintFor(code, text.slice(Math.max(0, pos[0] - 1), pos[0] + 1))
    return { ...this.#position(pos[0]), path: [], text: `${lowerFirst(message)}${hint}` }
  }

  *#badNodes(node: unknown, path: ConfigPath): Generator<ConfigProblem> {
    if (isAlias(node) && node.resolve(this.#document) === undefined) {
      const text = `is the alias *${node.source}, but no anchor before it has that name`
      yield { ...this.#at(node), path, text }
    }
    for (const [key, value] of children(node)) {
      if (isScalar(key) || typeof key === 'number') {
        yield* this.#badNodes(value, [...path, nameOf(key)])
      } else {
        yield { ...this.#at(key as Node), path, text: 'has a key that is not a plain name' }
      }
    }
  }
}

function* scalars(node: unknown, path: ConfigPath): Generator<[{ value: unknown }, ConfigPath]> {
  if (isScalar(node)) yield [node, path]
  for (const [key, value] of children(node)) yield* scalars(value, [...path, nameOf(key)])
}

function children(node: unknown): [unknown, unknown][] {
  if (isMap(node)) return node.items.map(({ key, value }) => [key, value])
  return isSeq(node) ? node.items.map((item, i) => [i, item]) : []
}

function nameOf(key: unknown): string | number {
  if (typeof key === 'number') return key
  return isScalar(key) ? String(key.value) : String(key)
}

function hintFor(code: string, around: string): string {
  if (code === 'TAB_AS_INDENT') return ': indent with spaces'
  if (code === 'MULTIPLE_DOCS') return ': a configuration is one document'
  if (code === 'MISSING_CHAR' && around.includes('${')) {
    return `: write "\${…}" in quotes inside [ ] and { }`
  }
  return ''
}

function lowerFirst(message: string): string {
  const text = message.replace(/[.;].*$/s, '')
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`
}
