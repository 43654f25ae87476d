import { z } from 'zod'
import { configSchema } from './config-schema.ts'

/** The JSON schema of the configuration file (draft 2020-12), as `walsync config schema` prints it. */
export function configJsonSchema(): object {
  return z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      // A value may come from the environment, whatever its own type is.
      const fixed = jsonSchema.type === 'boolean' ? ['type'] : jsonSchema.enum ? ['enum'] : []
      for (const key of fixed) {
        jsonSchema.anyOf = [{ [key]: jsonSchema[key] }, { type: 'string', pattern: '\\$\\{' }]
        delete jsonSchema[key]
      }
    },
  })
}
