import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { facets } from '../../src/testing/index.ts'

it('the contract page names every case exactly once, and no case that does not exist', async () => {
  const page = await readFile(
    new URL('../../docs/reference/object-store-contract.md', import.meta.url),
    'utf8',
  )
  const named = [...page.matchAll(/^\d+\..*\[([A-Z0-9 ]+)\]$/gm)].flatMap(([, ids]) =>
    ids!.split(' '),
  )
  const cases = facets.flatMap((facet) => facet.cases.map((one) => one.id))
  expect(named.sort()).toEqual(cases.sort())
})
