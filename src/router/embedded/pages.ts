/** The pages of both drivers (../pages.ts). */
export * from '../pages.ts';
