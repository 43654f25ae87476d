import { aborts } from './cases/aborts.ts'
import { closing } from './cases/closing.ts'
import { conditions } from './cases/conditions.ts'
import { deletes } from './cases/deletes.ts'
import { dirs } from './cases/dirs.ts'
import { errors } from './cases/errors.ts'
import { keys } from './cases/keys.ts'
import { large } from './cases/large.ts'
import { lists } from './cases/lists.ts'
import { movingLists } from './cases/moving-lists.ts'
import { putGet } from './cases/put-get.ts'
import { races } from './cases/races.ts'
import { ranges } from './cases/ranges.ts'
import { times } from './cases/times.ts'
import { visibility } from './cases/visibility.ts'
import type { Facet } from './contract-case.ts'

/** The whole contract. */
export const facets: readonly Facet[] = [
  putGet,
  visibility,
  large,
  ranges,
  conditions,
  races,
  lists,
  dirs,
  movingLists,
  deletes,
  keys,
  aborts,
  closing,
  errors,
  times,
]
