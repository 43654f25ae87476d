import { z } from 'zod'
import { text } from './flags.ts'

/** `-b`: every command has it. */
export const bucketFlags = z.object({
  bucket: text('a replica URL, a path that starts with / or ., or a bucket name'),
})
