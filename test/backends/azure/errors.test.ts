import { expect, it } from 'vitest'
import { mapAzureError } from '../../../src/backends/azure/azure-errors.ts'

it.each(['BlobArchived', 'BlobBeingRehydrated'])(
  '%s (409) is no conflict that passes, and its hint names the archive tier',
  (errorCode) => {
    const answer = Object.assign(new Error('refused'), { statusCode: 409, details: { errorCode } })
    const error = mapAzureError(answer, { op: 'get', key: 'k', container: 'c' })
    expect(error).toMatchObject({
      code: 'Unsupported',
      retryable: false,
      archived: true,
      httpStatus: 409,
    })
    expect(error.hint).toMatch(/archive tier/)
  },
)
