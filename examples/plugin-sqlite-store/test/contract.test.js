// #region suite
import { after, describe, it } from 'node:test'
import { objectStoreContract } from 'walsync/testing'
import { sqliteHarness } from './harness.js'

const runner = { describe, it: (name, body, timeout) => it(name, { timeout }, body), after }
objectStoreContract(runner, sqliteHarness())
// #endregion
