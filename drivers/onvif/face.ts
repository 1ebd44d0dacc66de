/** Events about faces are about persons: no star of a topic stands for them. */
export const face = /(?<!inter|sur)face|facial/i;
