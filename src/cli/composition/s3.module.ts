import { ContainerModule } from 'inversify'
import { S3 } from './built-in-backends.ts'
import { TOKENS } from './tokens.ts'

export const s3Module = new ContainerModule(({ bind }) => {
  bind(TOKENS.Backend).toConstantValue(S3)
})
