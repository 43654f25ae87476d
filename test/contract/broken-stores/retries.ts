import { setTimeout as sleep } from 'node:timers/promises'
import {
  copyError,
  isStoreError,
  type ObjectStore,
  StoreError,
} from '../../../src/core/store/index.ts'
import { altered, type BrokenStore } from './broken-store.ts'

export const brokenRetries: readonly BrokenStore[] = [
  {
    name: 'does not retry',
    caughtBy: [
      'ER04',
      'ER06',
      'ER07',
      'ER09',
      'CD15',
      'CD18',
      'CD24',
      'LS23',
      'LS24',
      'RG12',
      'AB10',
    ],
    ground: 'faults',
    claimsRetry: true,
    make: (inner) => inner,
  },
  {
    name: 'retries what cannot succeed',
    caughtBy: ['ER05'],
    ground: 'faults',
    make: (inner) => retrying(inner, 3, () => true),
  },
  {
    name: 'retries for ever',
    caughtBy: ['ER06'],
    ground: 'faults',
    claimsRetry: true,
    make: (inner) => retrying(inner, 1e9, (error) => error.retryable),
  },
  {
    name: 'believes the refusal of its own repeated create, as an SDK does',
    caughtBy: ['CD15', 'CD24'],
    ground: 'faults',
    claimsRetry: true,
    make: (inner) => retrying(inner, 4, (error) => error.retryable),
  },
  {
    name: 'takes any object for its own after a lost answer',
    caughtBy: ['CD16'],
    ground: 'faults',
    claimsRetry: true,
    make: (inner) => {
      const again = retrying(inner, 4, (error) => error.retryable)
      return altered(again, {
        put: (key, body, o) =>
          again.put(key, body, o).catch(async (error) => {
            const info = await inner.head(key)
            if (info === undefined) throw error
            return { size: info.size, version: info.version }
          }),
      })
    },
  },
  {
    name: 'says that nothing happened when it does not know',
    caughtBy: ['CD17', 'AB10'],
    ground: 'retry',
    make: (inner) => certain(inner),
  },
  {
    name: 'says that nothing happened when it does not know, without retries',
    caughtBy: ['ER11'],
    ground: 'faults',
    make: (inner) => certain(inner),
  },
  {
    name: 'takes a write conflict for an existing object',
    caughtBy: ['CD18', 'CD19'],
    ground: 'faults',
    claimsRetry: true,
    make: (inner) =>
      altered(inner, {
        put: (key, body, o) =>
          inner.put(key, body, o).catch((error) => {
            if (!isStoreError(error) || error.httpStatus !== 409) throw error
            const message = `The object ${key} exists already.`
            throw new StoreError('AlreadyExists', message, { op: 'put', key })
          }),
      }),
  },
  {
    name: 'has a bucket of retry tokens that an outage drains',
    caughtBy: ['ER07'],
    ground: 'faults',
    claimsRetry: true,
    make: (inner) => {
      let tokens = 12
      return retrying(inner, 4, (error) => error.retryable && tokens-- > 0)
    },
  },
  {
    name: 'keeps calls waiting after an outage',
    caughtBy: ['ER07'],
    ground: 'retry',
    make: (inner) => {
      let failures = 0
      return altered(inner, {
        head: (key, o) =>
          inner.head(key, o).catch((error) => {
            failures++
            throw error
          }),
        put: async (key, body, o) => {
          if (failures > 3) await sleep(2500)
          return inner.put(key, body, o)
        },
      })
    },
  },
  {
    name: 'waits for ever for a store that does not answer',
    caughtBy: ['AB10'],
    ground: 'faults',
    claimsRetry: true,
    make: (inner) => retrying(inner, 4, (error) => error.retryable),
  },
  {
    name: 'retries with a source that is used up',
    caughtBy: ['CD15'],
    ground: 'retry',
    make: (inner) =>
      altered(inner, {
        put: (key, body, o) => {
          if (body instanceof Uint8Array) return inner.put(key, body, o)
          const once = body.open()
          const iterator =
            Symbol.asyncIterator in once ? once[Symbol.asyncIterator]() : once[Symbol.iterator]()
          const open = () => ({
            [Symbol.asyncIterator]: () => ({ next: async () => iterator.next() }),
          })
          return inner.put(key, { size: body.size, open }, o)
        },
      }),
  },
  {
    name: 'takes refused access for a passing error',
    caughtBy: ['ER05'],
    ground: 'faults',
    make: (inner) =>
      altered(inner, {
        put: (key, body, o) =>
          inner.put(key, body, o).catch((error) => {
            throw isStoreError(error) ? copyError(error, { retryable: true }) : error
          }),
      }),
  },
  {
    name: 'reports refused credentials as a missing key',
    caughtBy: ['ER02'],
    ground: 'faults',
    make: (inner) =>
      altered(inner, {
        head: (key, o) =>
          inner.head(key, o).catch((error) => {
            if (isStoreError(error) && error.code === 'PermissionDenied') return undefined
            throw error
          }),
      }),
  },
]

function retrying(
  inner: ObjectStore,
  attempts: number,
  again: (error: StoreError) => boolean,
): ObjectStore {
  const retry = async <T>(work: () => Promise<T>): Promise<T> => {
    for (let i = 1; ; i++) {
      try {
        return await work()
      } catch (error) {
        if (!isStoreError(error) || error.code === 'Closed' || i >= attempts || !again(error))
          throw error
        await sleep(1)
      }
    }
  }
  return altered(inner, {
    check: (o) => retry(() => inner.check(o)),
    put: (key, body, o) => retry(() => inner.put(key, body, o)),
    get: (key, o) => retry(() => inner.get(key, o)),
    head: (key, o) => retry(() => inner.head(key, o)),
    delete: (key, o) => retry(() => inner.delete(key, o)),
  })
}

function certain(inner: ObjectStore): ObjectStore {
  return altered(inner, {
    put: (key, body, o) =>
      inner.put(key, body, o).catch((error) => {
        throw isStoreError(error) ? copyError(error, { outcome: 'not-applied' }) : error
      }),
  })
}
