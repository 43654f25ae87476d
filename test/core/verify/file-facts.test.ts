import { describe, expect, it } from 'vitest'
import { lockPage } from '../../../src/core/ltx/index.ts'
import { FactGatherer, type FileFacts, misfit } from '../../../src/core/verify/file-facts.ts'
import { headerOf } from '../restore/chain.ts'

const SIZE = 65536
const LOCK = lockPage(SIZE)

function factsOf(commit: number, pages: Iterable<number>): FileFacts {
  const gatherer = new FactGatherer(headerOf({ level: 0, min: 2, max: 2 }, SIZE, commit))
  for (const pgno of pages) gatherer.add(pgno)
  return gatherer.facts()
}

function* range(from: number, to: number): Generator<number> {
  for (let pgno = from; pgno <= to; pgno++) if (pgno !== LOCK) yield pgno
}

describe('the facts of a file', () => {
  it.each([
    ['all pages', 5, [1, 2, 3, 4, 5], true, 1],
    ['the last pages', 5, [1, 4, 5], false, 4],
    ['all but the last', 5, [1, 2, 3, 4], false, 6],
    ['no page', 5, [], false, 6],
    ['no page of an empty database', 0, [], true, 1],
  ] as const)('%s', (_, commit, pages, complete, tailFrom) => {
    expect(factsOf(commit, pages)).toMatchObject({ complete, tailFrom })
  })

  it.each([
    ['every page but the lock page', LOCK + 2, range(1, LOCK + 2), true, 1],
    ['a tail across the lock page', LOCK + 2, range(LOCK - 1, LOCK + 2), false, LOCK - 1],
    ['a tail that begins behind the lock page', LOCK + 2, range(LOCK + 1, LOCK + 2), false, LOCK],
    ['a database that ends with the lock page', LOCK, range(1, LOCK), true, 1],
    ['a tail before a lock page at the end', LOCK, range(LOCK - 2, LOCK), false, LOCK - 2],
    ['nothing before a lock page at the end', LOCK, [1], false, LOCK],
  ] as const)('%s', (_, commit, pages, complete, tailFrom) => {
    expect(factsOf(commit, pages)).toMatchObject({ complete, tailFrom })
  })
})

describe('whether a file fits onto another', () => {
  const on = (commit: number, pageSize = SIZE): FileFacts => ({ ...factsOf(commit, []), pageSize })

  it('requires every page that the database has gained, but never the lock page', () => {
    expect(misfit(factsOf(8, [6, 7, 8]), on(5))).toBe(undefined)
    expect(misfit(factsOf(8, [6, 7, 8]), on(4))).toBe('MissingPages')
    expect(misfit(factsOf(8, [1]), on(8))).toBe(undefined)
    expect(misfit(factsOf(8, [1]), on(9))).toBe(undefined)
    expect(misfit(factsOf(8, [1]), on(7))).toBe('MissingPages')
    expect(misfit(factsOf(LOCK + 1, [LOCK + 1]), on(LOCK - 1))).toBe(undefined)
    expect(misfit(factsOf(LOCK + 1, [LOCK + 1]), on(LOCK - 2))).toBe('MissingPages')
  })

  it('requires one page size, unless the file needs nothing older', () => {
    expect(misfit(factsOf(8, [1]), on(8, 4096))).toBe('PageSizeChange')
    expect(misfit(factsOf(2, [1, 2]), on(8, 4096))).toBe(undefined)
  })
})
