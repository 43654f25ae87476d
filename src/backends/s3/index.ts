import { DriverStore, type ObjectStoreProvider } from '../../core/store/index.ts'
import { connectS3 } from './s3-client.ts'
import { S3Driver } from './s3-driver.ts'
import { parseS3Options } from './s3-options.ts'

/** S3, Tigris and S3-compatible services: `s3://bucket/prefix`, `tigris://bucket/prefix`. */
export const provider: ObjectStoreProvider = {
  apiVersion: 2,
  name: 's3',
  schemes: ['s3', 'tigris'],
  layout: 'hex',
  validate(url, env, options) {
    parseS3Options(url, env, options)
  },
  async open(url, env, options) {
    options.signal?.throwIfAborted()
    return new DriverStore(new S3Driver(await connectS3(parseS3Options(url, env, options))))
  },
}
