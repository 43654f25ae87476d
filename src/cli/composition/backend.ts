import type { ObjectStoreProvider } from '../../core/store/index.ts'

/**
 * A backend by its schemes, not yet loaded: a user of `file://` never imports the AWS SDK, and does
 * not have to install it.
 */
export interface Backend {
  readonly name: string
  /** Lower case, without the colon. */
  readonly schemes: readonly string[]
  load(): Promise<ObjectStoreProvider>
}
