import { after, describe, it } from 'node:test'
import { objectStoreContract } from 'walsync/testing'
import { sftpHarness } from './harness.js'

const runner = { describe, it: (name, body, timeout) => it(name, { timeout }, body), after }
objectStoreContract(runner, await sftpHarness())
