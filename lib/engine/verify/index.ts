export { verifyJob, type VerifyContext, type VerifyJobOptions } from './verify-job';
export type {
  PointOutcome,
  PointVerification,
  VerifiedDiskReport,
  VerifyEvent,
  VerifyReport,
} from './report';
